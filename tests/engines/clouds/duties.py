"""What every step operator of a cloud does, and its engine of jobs."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import make_url

from tests.engines.clouds import work
from tests.engines.clouds.remote_stack import IMAGE
from zenml.exceptions import RunError, StackValidationError
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.pipelines import BasePipeline
from zenml.stack import StackComponent
from zenml.step_operators import BaseStepOperator
from zenml.testing import isolated_stack

_SECONDS = 30.0


def job_of(code: str, name: str = "z-work-1", **changes) -> Job:
    return Job(
        **{
            "name": name,
            "command": ("python", "-c", code),
            "pipeline": "my pipeline",
            "run": "a run",
            "step": "work[3]",
            "image": IMAGE,
            **changes,
        }
    )


def until(engine: JobEngine, id: str, wanted: Callable[[JobStatus], bool]) -> JobStatus:
    deadline = time.monotonic() + _SECONDS
    while not wanted(status := engine.states([id])[id]):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def refusal_of(operator: BaseStepOperator) -> str:
    """What is said of a job that the service refuses."""
    with closing(operator.jobs()) as engine, pytest.raises(RunError) as refused:
        engine.submit(job_of("0"))
    assert not isinstance(refused.value, EngineUnreachableError)
    return str(refused.value)


def refused_run(
    operator: BaseStepOperator, components: dict[str, StackComponent], folder: Path, pipeline: BasePipeline
) -> str:
    """What is said of a run that is refused before it is recorded."""
    named = operator.updated({"name": "operator"})
    with isolated_stack(folder / "refusing", step_operator=named, **components) as stack:
        with pytest.raises(StackValidationError) as refused:
            pipeline.run()
        assert stack.metadata_store.count_runs() == 0
    return str(refused.value)


class CloudOperator:
    """Gives the suite of step operators a module's `operator`, and what it refuses before a run."""

    machine: ClassVar[tuple[str, str]]
    """Cores and memory of its machines."""

    remedy: ClassVar[str]

    @pytest.fixture
    def step_operator(self, operator: BaseStepOperator) -> BaseStepOperator:
        return operator

    @pytest.fixture
    def components(self, remote: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return remote

    def test_what_no_machine_has_is_told_with_the_numbers(
        self, operator: BaseStepOperator, remote: dict[str, StackComponent], tmp_path: Path
    ) -> None:
        cores, memory = self.machine
        assert refused_run(operator, remote, tmp_path, work.overworking()) == (
            "A machine of the step operator 'operator' has less than these steps need:\n"
            f"  the step 'overwork' needs cpu: 8, of {cores}\n"
            f"  the step 'overwork' needs memory: 64 GB, of {memory}\n"
            "  the step 'overwork' needs gpu: 1, of 0\n"
            "  the step 'overwork' needs license: 1, of 0\n"
            f"Let them ask for less, or {self.remedy}."
        )

    def test_variables_of_this_environment_are_refused(
        self,
        operator: BaseStepOperator,
        remote: dict[str, StackComponent],
        postgresql_database: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("DATABASE_PASSWORD", str(make_url(postgresql_database).password))
        remote["metadata_store"] = remote["metadata_store"].updated({"password": "{{env.DATABASE_PASSWORD}}"})
        assert refused_run(operator, remote, tmp_path, work.working()) == (
            f"Variables of this environment are not set where the step operator 'operator' of flavor '{operator.FLAVOR}' executes steps, "
            "and it has no way to hand them on, but these refer to some:\n"
            "  the metadata store 'server': {{env.DATABASE_PASSWORD}}\n"
            "Refer to secrets of a secrets manager that the steps can reach: {{name.key}}."
        )


class JobEngineDuties:
    """A module gives `operator`."""

    @pytest.fixture
    def engine(self, operator: BaseStepOperator) -> Iterator[JobEngine]:
        with closing(operator.jobs()) as engine:
            yield engine

    def test_a_job_succeeds_and_its_log_is_read(self, engine: JobEngine) -> None:
        id = engine.submit(
            job_of("import os; print('first'); print(os.environ['WORD'])", environment={"WORD": "two words"})
        )
        assert until(engine, id, lambda s: s.state.is_finished).state is JobState.SUCCEEDED
        assert engine.log(id) == ["first", "two words"]
        assert engine.log(id, lines=1) == ["two words"]

    def test_a_job_fails_with_the_services_reason(self, engine: JobEngine) -> None:
        id = engine.submit(job_of("raise SystemExit('no good')", timeout=2.5))
        status = until(engine, id, lambda s: s.state.is_finished)
        assert status.state is JobState.FAILED
        assert "1" in status.reason
        assert engine.log(id) == ["no good"]

    def test_a_job_is_cancelled_once_and_for_all(self, engine: JobEngine) -> None:
        id = engine.submit(job_of("import time; print('begun', flush=True); time.sleep(600)"))
        deadline = time.monotonic() + _SECONDS
        while engine.log(id) != ["begun"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not engine.states([id])[id].state.is_finished
        engine.cancel(id)
        assert until(engine, id, lambda s: s.state.is_finished).state is JobState.FAILED
        engine.cancel(id)

    def test_what_has_no_image_is_refused(self, engine: JobEngine) -> None:
        with pytest.raises(RunError, match="runs images alone, .* set the field `.*base_image`"):
            engine.submit(job_of("0", image=None))
