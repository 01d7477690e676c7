"""Pipelines on a real Airflow, what it shows of them, runs that nobody waits for, and the page of the guide."""

import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.airflow_server import Airflow, airflow_server
from tests.services import ServiceMissingError
from zenml.enums import ExecutionStatus
from zenml.integrations.airflow.orchestrators import AirflowOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.post_execution import PipelineRunView
from zenml.testing.assertions import assert_ran
from zenml.testing.conformance import OrchestratorConformance, programs
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

PAGE = Path(__file__).parents[3] / "docs/guide/airflow.md"
SECRETS = {"some": {"thing": "else"}}  # so that there is a manager, which keeps the password
SECONDS = 100.0

pytestmark = pytest.mark.timeout(400)  # the first test waits for the start of Airflow, too


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """One for all tests of this file: what it does when there is nothing to do takes a quarter of a core."""
    try:
        with airflow_server(tmp_path_factory.mktemp("airflow") / "home") as server:
            yield server
    except ServiceMissingError as error:
        pytest.skip(str(error))


def orchestrator_of(airflow: Airflow, **more) -> AirflowOrchestrator:
    fields = {"username": "ann", "password": airflow.password, **more}
    return AirflowOrchestrator(name="airflow", url=airflow.url, dags_folder=airflow.dags_folder, **fields)


class TestAirflow(OrchestratorConformance):
    cannot = {"map": "a DAG has as many tasks as were written into it"}
    seconds = 120.0
    width = 4

    @pytest.fixture
    def orchestrator(self, airflow: Airflow) -> BaseOrchestrator:
        return orchestrator_of(airflow)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def file_of(run: PipelineRunView, here: AirflowOrchestrator) -> Path:
    """The file of the DAG that the run is one of."""
    files = Path(here.dags_folder).glob("zenml.*.py")
    return next(file for file in files if here.api().run(file.stem, str(run.uuid)))


def test_steps_with_known_results_are_no_tasks_of_airflow(airflow: Airflow) -> None:
    here = orchestrator_of(airflow)
    with isolated_stack(secrets=SECRETS, orchestrator=here):
        programs.with_parameter(right=1).run()
        run = programs.with_parameter(right=2).run()
        assert_ran(run, "changed")
        file = file_of(run, here)
        assert airflow.password not in file.read_text()
        api = here.api()
        until(lambda: api.run(file.stem, str(run.uuid))["state"] == "success")
    states = {task["task_id"]: task["state"] for task in api.tasks(file.stem, str(run.uuid))}
    assert states == {
        "zenml-begin": "success",
        "number": "skipped",
        "changed": "success",
        "other": "skipped",
        "same": "skipped",
    }


def test_a_run_that_nobody_waits_for_is_ended_by_airflow(airflow: Airflow) -> None:
    here = orchestrator_of(airflow, synchronous=False)
    with isolated_stack(secrets=SECRETS, orchestrator=here):
        run = programs.broken().run()
        assert run.status is ExecutionStatus.RUNNING
        until(lambda: last_run().status.is_finished)
        run = last_run()
        assert run.status is ExecutionStatus.FAILED
        assert run.get_step("beside_too").status is ExecutionStatus.COMPLETED
        assert run.get_step("behind").status is ExecutionStatus.SKIPPED
        file = file_of(run, here)
        until(lambda: here.api().run(file.stem, str(run.uuid))["state"] == "failed")


def test_the_commands_of_the_guide(airflow: Airflow) -> None:
    text = PAGE.read_text()
    for there, here in {
        "http://127.0.0.1:8080": airflow.url,
        "/srv/airflow/dags": airflow.dags_folder,
        "AIRFLOW_PASSWORD": airflow.password,
    }.items():
        assert there in text
        text = text.replace(there, here)
    output = ""
    for language, block in re.findall(r"^```(\w+)\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        if language == "python":
            Path("squares.py").write_text(block)
            continue
        for line in block.splitlines():
            program, *arguments = shlex.split(line)
            command = (
                ["-c", "from zenml.cli import main; main(prog_name='zenml')", *arguments]
                if program == "zenml"
                else arguments
            )
            done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False)
            output = done.stdout
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert output.splitlines()[-1] == "49"
