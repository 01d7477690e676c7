"""Pipelines that are submitted to an endpoint. It is a fake one; its tasks are real containers."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from docker.errors import DockerException

from tests.fakes.kubeflow_pipelines import FakeKubeflowPipelines
from tests.services import free_port
from zenml.engine import exported
from zenml.enums import CheckOutcome, ExecutionStatus
from zenml.exceptions import RunCancelledError, RunError, StackValidationError, StepCrashedError
from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator
from zenml.pipelines import pipeline
from zenml.stack import Stack, StackComponent
from zenml.testing.assertions import assert_cached, assert_ran, assert_skipped
from zenml.testing.conformance import programs
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

SECONDS = 120.0


@pytest.fixture
def stack(there: KubeflowOrchestrator, remote: dict[str, StackComponent]) -> Iterator[Stack]:
    with isolated_stack(orchestrator=there, **remote) as stack:
        yield stack


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def when_started(stack: Stack, step: str, then: Callable[[], object]) -> threading.Thread:
    """Do something when a step of the last run has been started."""

    store = stack.metadata_store

    def wait() -> None:
        until(lambda: any(s.name == step and s.started for run in store.runs() for s in store.steps(run.id)))
        then()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def states(kubeflow: FakeKubeflowPipelines) -> dict[str, str]:
    return {name: task["state"] for name, task in kubeflow.run.tasks.items() if name != "root"}


# Runs


@pipeline
def squares(value: int) -> None:
    programs.add(programs.square(value=value))
    programs.modest()


@pipeline
def failing() -> None:
    programs.add(programs.fail(), id="behind")
    programs.number(id="beside")


def test_each_step_is_a_task_and_what_is_known_is_none(stack: Stack, kubeflow: FakeKubeflowPipelines) -> None:
    run = squares(value=2).run()
    assert_ran(run)
    assert run.get_step("add").output.read() == 5
    assert kubeflow.run.document["display_name"] == run.name
    until(lambda: kubeflow.run.document["state"] == "SUCCEEDED")
    assert states(kubeflow) == dict.fromkeys(["square", "add", "modest"], "SUCCEEDED")
    package = str(kubeflow.run.package)
    secrets = ["{{bucket.secret}}", "{{database.password}}"]
    for value in (kubeflow.token, *(stack.resolve(one) for one in secrets)):
        assert value not in package

    assert_cached(squares(value=2).run())
    assert len(kubeflow.runs) == 1

    # What is known only when the step before has ended costs a task, which does not execute it.
    again = squares(value=-2).run()
    assert_ran(again, "square")
    assert_cached(again, "add", "modest")
    until(lambda: states(kubeflow) == dict.fromkeys(["square", "add"], "SUCCEEDED"))


def test_a_failing_step_is_a_failed_task(stack: Stack, kubeflow: FakeKubeflowPipelines) -> None:
    with pytest.raises(ValueError, match="no good: 0"):
        failing().run()
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert_ran(run, "fail", "beside")
    assert_skipped(run, "behind")
    until(lambda: kubeflow.run.document["state"] == "FAILED")
    assert states(kubeflow) == {"fail": "FAILED", "beside": "SUCCEEDED"}


def test_tasks_that_cannot_be_started_are_named(
    stack: Stack, kubeflow: FakeKubeflowPipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def start(*_: object) -> int:
        raise DockerException("no such image")

    monkeypatch.setattr(kubeflow, "_run_container", start)
    with pytest.raises(StepCrashedError) as crashed:
        failing().run()
    assert str(crashed.value) == (
        "The step 'fail' was not executed: Kubeflow says of the run: FAILED; of its tasks: 'beside', 'fail'."
    )
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert_skipped(run, "behind")


def test_a_run_that_nobody_waits_for_is_ended_by_its_exit_handler(
    there: KubeflowOrchestrator, remote: dict[str, StackComponent], kubeflow: FakeKubeflowPipelines
) -> None:
    unattended = there.updated({"synchronous": False})
    with isolated_stack(orchestrator=unattended, **remote):
        assert failing().run().status is ExecutionStatus.RUNNING
        until(lambda: last_run().status.is_finished)
        run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert run.get_step("beside").status is ExecutionStatus.COMPLETED
    assert_skipped(run, "behind")
    assert states(kubeflow)["exit-handler-1"] == "FAILED"
    assert "end-of-the-run" in states(kubeflow)


# Ends


def test_a_run_is_cancelled_here(stack: Stack, kubeflow: FakeKubeflowPipelines) -> None:
    def cancel() -> None:
        command = [sys.executable, "-c", "from zenml.cli import main; main()", "pipeline", "runs", "cancel"]
        subprocess.run([*command, last_run().name], check=True)

    other = when_started(stack, "wait", cancel)
    with pytest.raises(RunCancelledError):
        programs.waiting().run()
    other.join()
    run = last_run()
    assert (run.status, run.get_step("wait").status) == (ExecutionStatus.CANCELLED,) * 2
    assert_skipped(run, "behind")
    # The node looks for such requests, too: when it sees this one before the program does, Kubeflow's run ends by that.
    until(lambda: kubeflow.run.document["state"] in ("CANCELED", "FAILED"))
    assert "behind" not in states(kubeflow)


def test_a_run_is_terminated_there(stack: Stack, kubeflow: FakeKubeflowPipelines) -> None:
    other = when_started(stack, "wait", lambda: kubeflow.terminate(kubeflow.run))
    with pytest.raises(RunCancelledError):
        programs.waiting().run()
    other.join()
    run = last_run()
    assert (run.status, run.get_step("wait").status) == (ExecutionStatus.CANCELLED,) * 2
    assert_skipped(run, "behind")


def test_an_endpoint_that_goes_away_ends_the_run(
    stack: Stack, kubeflow: FakeKubeflowPipelines, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def never_end(*_: object) -> int:
        kubeflow.is_gone = True
        over.wait()
        return 1

    monkeypatch.setattr(kubeflow, "_run_container", never_end)
    monkeypatch.setattr(exported, "_ABSENT", 1.0)
    with pytest.raises(RunError, match=r"does not answer: .* Start it, or give the orchestrator another"):
        programs.waiting().run()
    over.set()
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert_skipped(run, "wait", "behind")


# What is refused before anything is recorded


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"token": "wr0ng"}, "refuses: 401 .*who is that.* Look at its endpoint, namespace and token"),
        ({"namespace": "other"}, "refuses: 403 .*not authorized in the namespace other"),
        ({"namespace": None}, "refuses: 400 .*a namespace is required"),
        ({"endpoint": f"http://127.0.0.1:{free_port()}"}, "does not answer: .*Start it, or give"),
    ],
)
def test_an_endpoint_that_cannot_be_used(
    there: KubeflowOrchestrator,
    remote: dict[str, StackComponent],
    fields: dict[str, str],
    told: str,
) -> None:
    changed = there.updated(fields)
    with isolated_stack(orchestrator=changed, **remote) as stack:
        with pytest.raises(StackValidationError, match=told) as refused:
            programs.chain(length=2).run()
        assert stack.metadata_store.count_runs() == 0
    assert "wr0ng" not in str(refused.value)
    failed = [check for check in changed.check() if check.outcome is not CheckOutcome.OK]
    assert [check.what for check in failed] == ["answers"]


def test_a_login_page_is_no_answer(there: KubeflowOrchestrator, kubeflow: FakeKubeflowPipelines) -> None:
    kubeflow.shows_login = True
    (failed,) = [
        check for check in there.updated({"token": None}).check() if check.outcome is not CheckOutcome.OK
    ]
    assert "answers with a page, as of a login: look at its endpoint and token" in failed.message


def test_a_certificate_that_nobody_vouches_for(
    there: KubeflowOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    failed = [check for check in there.check() if check.outcome is not CheckOutcome.OK]
    assert "certificate verify failed" in failed[0].message
