"""Runs that an engine takes as a whole: what is handed over, who waits, and what is true when something goes away."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.graph_engine import GraphOrchestrator
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunCancelledError, RunError, StepCrashedError, StepInterfaceError
from zenml.jobs import EngineUnreachableError, JobState, JobStatus
from zenml.model.runs import Ending
from zenml.pipelines import pipeline
from zenml.stack import Stack
from zenml.steps import step
from zenml.testing.assertions import assert_cached, assert_ran, assert_skipped
from zenml.testing.conformance import programs
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

SECONDS = 60.0


@pytest.fixture(autouse=True)
def engines() -> Iterator[None]:
    GraphOrchestrator.graphs.clear()
    GraphOrchestrator.engines.clear()
    yield
    for engine in GraphOrchestrator.engines:
        engine.is_cancelled = True
        engine.join(SECONDS)


@pytest.fixture
def stack(tmp_path) -> Iterator[Stack]:
    with isolated_stack(tmp_path / "world", orchestrator=GraphOrchestrator(name="graph")) as stack:
        yield stack


@pytest.fixture
def unattended(tmp_path) -> Iterator[Stack]:
    orchestrator = GraphOrchestrator(name="graph", synchronous=False)
    with isolated_stack(tmp_path / "world", orchestrator=orchestrator) as stack:
        yield stack


def handed_over() -> list[list[str]]:
    return [[node.step.name for node in graph.nodes] for graph in GraphOrchestrator.graphs]


def until(condition) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# What is known is not handed over


def test_what_is_cached_costs_no_node(stack: Stack) -> None:
    programs.with_parameter(right=1).run()
    assert_cached(programs.with_parameter(right=1).run())
    programs.with_parameter(right=2).run()
    assert handed_over() == [["number", "changed", "other", "same"], ["changed"]]


def test_a_branch_is_left_out_when_its_condition_is_known(stack: Stack) -> None:
    programs.conditional(value=11).run()
    run = programs.conditional(value=11).run()
    assert_cached(run, "found", "large")
    assert_skipped(run, "small")
    assert len(GraphOrchestrator.graphs) == 1


def test_replayed_steps_take_no_earlier_result(stack: Stack) -> None:
    programs.with_parameter(right=1).run(run_name="first")
    run = programs.with_parameter(right=1).replay("first", start=["changed"])
    assert_cached(run, "number", "other", "same")
    assert_ran(run, "changed")


# What is refused before a run


def test_steps_that_no_other_process_can_import_are_refused(stack: Stack) -> None:
    @step
    def here() -> int:
        return 1

    @pipeline
    def local() -> None:
        here()

    with pytest.raises(
        StepInterfaceError,
        match="'here' cannot be executed by the orchestrator 'graph': it is defined inside",
    ):
        local().run()
    assert stack.metadata_store.count_runs() == 0


# Without anybody who waits


def test_a_run_that_nobody_waits_for_ends_by_itself(unattended: Stack) -> None:
    run = programs.chain(length=2).run(run_name="alone")
    assert run.status is ExecutionStatus.RUNNING
    until(lambda: last_run().status.is_finished)
    assert_ran(last_run())
    assert last_run().status is ExecutionStatus.COMPLETED


def test_its_failure_is_recorded_by_its_last_process(unattended: Stack) -> None:
    programs.broken().run()
    until(lambda: last_run().status.is_finished)
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert run.get_step("beside_too").status is ExecutionStatus.COMPLETED
    assert_skipped(run, "behind")


def test_it_is_cancelled_from_outside(unattended: Stack) -> None:
    run = programs.waiting().run()
    store = unattended.metadata_store
    until(lambda: store.steps(run.id)[0].started)
    store.request_cancel(run.id)
    until(lambda: last_run().status.is_finished)
    assert (last_run().status, last_run().get_step("wait").status) == (ExecutionStatus.CANCELLED,) * 2


def ended(ending: Ending) -> None:
    with open("endings.txt", "a") as file:  # noqa: PTH123
        file.write(f"{ending.run} {ending.status}\n")


@pipeline(on_success=ended)
def told() -> None:
    programs.number()


def test_hooks_of_a_run_are_called_by_its_last_process(unattended: Stack, tmp_path) -> None:
    told().run(run_name="first")
    until(lambda: os.path.exists("endings.txt"))  # noqa: PTH110
    with open("endings.txt") as file:  # noqa: PTH123
        assert file.read() == "first completed\n"


# When something goes away


def test_a_process_of_a_node_that_is_killed_is_a_crash(stack: Stack) -> None:
    def kill() -> None:
        store = stack.metadata_store
        until(lambda: any(s.started for run in store.runs() for s in store.steps(run.id)))
        os.kill(GraphOrchestrator.engines[0].processes["wait"].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    with pytest.raises(StepCrashedError, match="The process that executed the step 'wait' has died"):
        programs.waiting().run()
    killer.join()
    run = last_run()
    assert (run.status, run.get_step("wait").status) == (ExecutionStatus.FAILED, ExecutionStatus.CRASHED)
    assert_skipped(run, "behind")


def test_an_engine_that_stays_away_ends_the_run(stack: Stack, monkeypatch) -> None:
    def away(self) -> JobStatus:
        raise EngineUnreachableError("It does not answer.")

    monkeypatch.setattr("zenml.engine.exported._ABSENT", 1.0)
    monkeypatch.setattr("tests.graph_engine._GraphExporter.status", away)
    with pytest.raises(RunError, match="It does not answer"):
        programs.waiting().run()
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert run.get_step("wait").status.is_finished


def test_an_engine_that_ends_early_has_not_executed_its_steps(stack: Stack, monkeypatch) -> None:
    monkeypatch.setattr("tests.graph_engine.Engine.run", lambda self: None)
    monkeypatch.setattr(
        "tests.graph_engine._GraphExporter.status",
        lambda self: JobStatus(JobState.FAILED, "no space left"),
    )
    with pytest.raises(StepCrashedError, match="The step 'number' was not executed: no space left"):
        programs.chain(length=2).run()
    assert_skipped(last_run(), "add")


def test_an_interrupt_ends_the_nodes(stack: Stack) -> None:
    over = threading.Event()
    # Where the tests run in the background, processes inherit that SIGINT is ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)

    def interrupt() -> None:
        store = stack.metadata_store
        until(lambda: any(s.started for run in store.runs() for s in store.steps(run.id)))
        # An interrupt that comes while Python collects garbage is lost.
        while not store.runs()[0].cancel_requested:
            os.kill(os.getpid(), signal.SIGINT)
            over.wait(10)

    other = threading.Thread(target=interrupt)
    other.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            programs.waiting().run()
    finally:
        over.set()
        other.join()
        signal.signal(signal.SIGINT, before)
    run = last_run()
    assert (run.status, run.get_step("wait").status) == (ExecutionStatus.CANCELLED,) * 2
    until(lambda: not GraphOrchestrator.engines[0].processes)


def test_a_cancelled_run_says_how_to_go_on(stack: Stack) -> None:
    def cancel() -> None:
        store = stack.metadata_store
        until(lambda: any(s.started for run in store.runs() for s in store.steps(run.id)))
        store.request_cancel(store.runs()[0].id)

    other = threading.Thread(target=cancel)
    other.start()
    with pytest.raises(RunCancelledError, match="runs resume"):
        programs.waiting().run()
    other.join()


def test_nodes_end_when_nobody_follows_the_run_any_more(stack: Stack) -> None:
    Path("run.py").write_text(
        "from zenml.testing.conformance import programs\n"
        "import tests.graph_engine\n"
        "if __name__ == '__main__':\n"
        "    programs.waiting().run()\n"
    )
    path = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    client = subprocess.Popen(
        [sys.executable, "run.py"], env={**os.environ, "PYTHONPATH": path}, start_new_session=True
    )
    store = stack.metadata_store
    until(lambda: any(s.started for run in store.runs() for s in store.steps(run.id)))
    (attempt,) = store.attempts(store.steps(store.runs()[0].id)[0].id)
    client.kill()
    client.wait()
    assert last_run().status is ExecutionStatus.CRASHED
    assert last_run().get_step("wait").status is ExecutionStatus.CRASHED
    until(lambda: not psutil.pid_exists(attempt.owner.pid))
