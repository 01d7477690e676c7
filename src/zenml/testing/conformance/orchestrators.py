"""What every orchestrator does: whole runs through the engine, while the executor's contract is watched."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import RunError, StackValidationError, StepTimeoutError
from zenml.model.runs import LOG_FILE
from zenml.orchestrators.base_orchestrator import Executor
from zenml.testing.assertions import assert_cached, assert_ran, assert_skipped
from zenml.testing.conformance import programs
from zenml.testing.conformance.suite import Suite, assert_healthy, needs, undefined
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.model.runs import StepOutcome, StepTask
    from zenml.orchestrators import BaseOrchestrator
    from zenml.orchestrators.base_orchestrator import StepRunner
    from zenml.post_execution import PipelineRunView
    from zenml.stack import Stack, StackComponent


class OrchestratorConformance(Suite):
    """The duties of `BaseOrchestrator` and of the `Executor` that it gives.

    `orchestrator` is the one under test. `components` are those of its stack that cannot be the local ones, by type: an artifact store
    and a metadata store that its steps can reach.

    A flavor may leave out, by `cannot`: "cancel", "conditions", "isolation" (a step whose process dies is reported), "map", "parallel"
    (two steps at the same time), "resources", "retries", "timeout".
    """

    seconds = 60.0
    """For how long a run of a few small steps may take at the most."""

    width = 16
    """How many steps stand beside each other where many do, a power of two. Fewer will do for an engine that takes seconds for each."""

    @pytest.fixture
    def orchestrator(self) -> BaseOrchestrator:
        """The orchestrator under test."""
        undefined(self, "orchestrator", "an orchestrator")

    @pytest.fixture
    def components(self) -> dict[str, StackComponent]:
        """Components of the stack besides the orchestrator, by type."""
        return {}

    @pytest.fixture
    def stack(
        self, orchestrator: BaseOrchestrator, components: dict[str, StackComponent], tmp_path: Path
    ) -> Iterator[Stack]:
        """The stack that everything runs on."""
        with isolated_stack(
            tmp_path / "world",
            secrets={"service": {"user": "ann"}},
            orchestrator=orchestrator,
            **components,
        ) as stack:
            yield stack

    @pytest.fixture(autouse=True)
    def _watched(self, orchestrator: BaseOrchestrator, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """See that each executor keeps the contract, whatever the test is about."""
        watched: list[_Watched] = []
        make = type(orchestrator).executor

        def executor(
            self: BaseOrchestrator, deployment: Deployment, stack: Stack, run_step: StepRunner
        ) -> Executor:
            watched.append(_Watched(make(self, deployment, stack, run_step)))
            return watched[-1]

        monkeypatch.setattr(type(orchestrator), "executor", executor)
        yield
        for one in watched:
            assert one.broken == []
            assert one.is_closed, "close() was not called"

    # Order and values

    def test_a_check_passes(self, stack: Stack) -> None:
        assert_healthy(stack.orchestrator)

    def test_a_chain_of_steps_hands_its_values_on(self, stack: Stack) -> None:
        run = programs.chain(length=3).run()
        assert_ran(run)
        assert value_of(run, "add_2") == 3
        times = [(step.start_time, step.end_time) for step in run.steps]
        assert all(
            earlier[1] is not None and later[0] is not None and earlier[1] <= later[0]
            for earlier, later in itertools.pairwise(times)
        ), "a step was started before the one that it needs had ended"

    def test_many_independent_steps_all_run_and_are_joined(self, stack: Stack) -> None:
        run = programs.fan_out(width=self.width).run()
        assert_ran(run)
        assert value_of(run, run.steps[-1].name) == 2 * sum(range(self.width))
        assert {step.attempts for step in run.steps} == {1}

    @needs("parallel")
    def test_steps_run_at_the_same_time(self, stack: Stack) -> None:
        run = programs.meeting().run()
        assert value_of(run, "one") is True
        assert value_of(run, "two") is True

    def test_a_large_value_is_handed_on(self, stack: Stack) -> None:
        assert value_of(programs.heavy(megabytes=32).run(), "measure") == 32 << 20

    def test_a_step_knows_where_it_runs(self, stack: Stack) -> None:
        run = programs.looking().run(run_name="a name")
        told = value_of(run, "look_around")
        assert (told["stack"], told["step"], told["run"]) == (stack.name, "look_around", "a name")
        assert told["uri"] == run.get_step("look_around").output.uri
        assert told["secret"] == "ann"

    # Failures

    def test_a_failing_step_fails_the_run_and_skips_what_depends_on_it_alone(self, stack: Stack) -> None:
        with pytest.raises(Exception, match="no good: 1"):
            programs.broken().run()
        run = last_run()
        assert run.status is ExecutionStatus.FAILED
        assert_ran(run, "number", "fail", "beside", "beside_too")
        assert_skipped(run, "behind")
        assert run.get_step("beside_too").status is ExecutionStatus.COMPLETED
        failed = run.get_step("fail")
        assert failed.status is ExecutionStatus.FAILED
        assert failed.error is not None
        assert (failed.error.type, failed.error.message) == ("ValueError", "no good: 1")
        assert "raise ValueError" in failed.error.traceback

    @needs("isolation")
    def test_a_step_whose_process_dies_is_reported_and_others_go_on(self, stack: Stack) -> None:
        with pytest.raises(RunError):
            programs.dying().run()
        run = last_run()
        assert run.status is ExecutionStatus.FAILED
        assert run.get_step("die").status in (ExecutionStatus.CRASHED, ExecutionStatus.FAILED)
        assert run.get_step("beside").status is ExecutionStatus.COMPLETED
        assert_skipped(run, "behind")

    @pytest.mark.parametrize("code", [0, 5])
    def test_a_step_that_ends_its_process_is_no_success(self, stack: Stack, code: int) -> None:
        with pytest.raises((SystemExit, RunError)) as ended:
            programs.leaving(code=code).run()
        assert not isinstance(ended.value, SystemExit) or ended.value.code == code != 0
        run = last_run()
        assert run.status in (ExecutionStatus.CANCELLED, ExecutionStatus.FAILED)
        assert run.get_step("leave").status in (
            ExecutionStatus.CANCELLED,
            ExecutionStatus.CRASHED,
            ExecutionStatus.FAILED,
        )
        assert_skipped(run, "behind")

    @needs("retries")
    def test_a_failed_attempt_is_followed_by_another(self, stack: Stack) -> None:
        run = programs.retried(failures=2).run()
        step = run.get_step("flaky")
        assert (step.status, step.attempts, step.output.read()) == (ExecutionStatus.COMPLETED, 3, 3)
        attempts = stack.metadata_store.attempts(step.id)
        assert [str(attempt.status) for attempt in attempts] == ["failed", "failed", "completed"]
        assert [attempt.error and attempt.error.message for attempt in attempts[:2]] == [
            "attempt 1",
            "attempt 2",
        ]

    @needs("retries")
    def test_the_last_attempt_decides(self, stack: Stack) -> None:
        with pytest.raises(Exception, match="attempt 3"):
            programs.retried(failures=3).run()
        run = last_run()
        assert run.get_step("flaky").attempts == 3
        assert_skipped(run, "behind")

    @needs("timeout")
    def test_a_step_that_takes_too_long_is_ended_whatever_it_does(self, stack: Stack) -> None:
        started = time.monotonic()
        with pytest.raises(StepTimeoutError):
            programs.too_long().run()
        assert time.monotonic() - started < min(self.seconds, programs.SECONDS - 5)
        run = last_run()
        assert run.get_step("endless").status is ExecutionStatus.FAILED
        assert run.get_step("beside").status is ExecutionStatus.COMPLETED
        assert_skipped(run, "behind")

    @needs("cancel")
    def test_a_run_is_cancelled_from_outside(self, stack: Stack) -> None:
        started = time.monotonic()
        with cancelled_when_started(stack, "wait"), pytest.raises((RunError, KeyboardInterrupt)):
            programs.waiting().run()
        assert time.monotonic() - started < min(self.seconds, programs.SECONDS - 5)
        run = last_run()
        assert (run.status, run.get_step("wait").status) == (ExecutionStatus.CANCELLED,) * 2
        assert_skipped(run, "behind")

    # Results of earlier runs

    def test_what_has_not_changed_is_taken_from_the_cache(self, stack: Stack) -> None:
        assert_ran(programs.with_parameter(right=1).run())
        assert_cached(programs.with_parameter(right=1).run())
        changed = programs.with_parameter(right=2).run()
        assert_ran(changed, "changed")
        assert_cached(changed, "number", "other", "same")
        assert value_of(changed, "changed") == 3

    def test_a_failed_run_is_resumed_with_what_is_finished(self, stack: Stack) -> None:
        with pytest.raises(Exception, match="no good"):
            programs.going_on(failing=True).run(run_name="first")
        token = value_of(last_run(), "token")
        run = programs.going_on(failing=False).resume("first", accept_changes=True)
        assert run.status is ExecutionStatus.COMPLETED
        assert value_of(run, "token") == token
        assert_cached(run, "token", "length")
        assert_ran(run, "last")

    # Width and conditions

    @needs("map")
    def test_a_step_is_executed_for_each_item_of_a_list(self, stack: Stack) -> None:
        run = programs.mapped(count=self.width).run()
        assert value_of(run, "collect") == sum(n * n + 10 for n in range(self.width))
        instances = run.get_step("square").instances
        assert [instance.output.read() for instance in instances] == [n * n + 10 for n in range(self.width)]
        again = programs.mapped(count=self.width + 1).run()
        assert Counter(str(i.status) for i in again.get_step("square").instances) == {
            "cached": self.width,
            "completed": 1,
        }

    @needs("map")
    def test_an_empty_list_has_no_instances(self, stack: Stack) -> None:
        assert value_of(programs.mapped(count=0).run(), "collect") == 0

    @needs("map")
    def test_an_instance_that_fails_stops_what_collects_and_no_other_instance(self, stack: Stack) -> None:
        with pytest.raises(Exception, match="no good: 1"):
            programs.mapped(count=3, bad=1).run()
        run = last_run()
        assert_skipped(run, "collect")
        statuses = [str(instance.status) for instance in run.get_step("square").instances]
        assert statuses == ["completed", "failed", "completed"]

    @needs("conditions")
    @pytest.mark.parametrize(("value", "taken", "skipped"), [(11, "large", "small"), (10, "small", "large")])
    def test_a_branch_is_skipped_by_a_value(self, stack: Stack, value: int, taken: str, skipped: str) -> None:
        run = programs.conditional(value=value).run()
        assert run.status is ExecutionStatus.COMPLETED
        assert_ran(run, taken)
        assert_skipped(run, skipped)

    # Resources

    @needs("resources")
    def test_a_step_has_what_it_needs(self, stack: Stack) -> None:
        assert_ran(programs.within_means().run(), "modest")

    @needs("resources")
    def test_what_can_never_be_had_is_refused_before_anything_is_recorded(self, stack: Stack) -> None:
        with pytest.raises(StackValidationError, match="immodest"):
            programs.beyond_means().run()
        assert stack.metadata_store.count_runs() == 0

    # Logs

    def test_what_a_step_says_is_in_its_log(self, stack: Stack) -> None:
        run = programs.shouting(word="hello").run()
        told = log_of(stack, run, "shout")
        for way in ("stdout", "stderr", "logging"):
            assert f"{way} hello" in told


def value_of(run: PipelineRunView, step: str) -> Any:
    """The only output of a step."""
    return run.get_step(step).output.read()


def log_of(stack: Stack, run: PipelineRunView, step: str) -> str:
    """What the first attempt of a step has said."""
    store = stack.artifact_store
    (path,) = store.glob(f"{store.path}/runs/{run.uuid}/{run.get_step(step).name}.1/{LOG_FILE}")
    with store.open(path) as file:
        return str(file.read())


@contextmanager
def cancelled_when_started(stack: Stack, step: str) -> Iterator[None]:
    """Ask for the end of a run as somebody else does, when its step `step` has been started."""
    store = stack.metadata_store
    over = threading.Event()

    def cancel() -> None:
        while not over.wait(0.02):
            for run in store.runs():
                if any(one.name == step and one.started for one in store.steps(run.id)):
                    store.request_cancel(run.id)
                    return

    other = threading.Thread(target=cancel)
    other.start()
    try:
        yield
    finally:
        over.set()
        other.join()


class _Watched(Executor):
    """Hands everything on to another executor, and remembers where that breaks the contract, or is used against it."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._under_way: Counter[int] = Counter()
        self._room_for: int | None = None
        self.broken: list[str] = []
        self.is_closed = False

    def has_room(self, task: StepTask) -> bool:
        has_room = self._executor.has_room(task)
        if not has_room and not self._under_way.total():
            self.broken.append(f"has_room({task.label}) is False with nothing under way")
        self._room_for = task.step_run_id if has_room else None
        return has_room

    def submit(self, task: StepTask) -> None:
        if self._room_for != task.step_run_id:
            self.broken.append(f"submit({task.label}) without room")
        self._room_for = None
        self._under_way[task.step_run_id] += 1
        self._executor.submit(task)

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        started = time.monotonic()
        outcomes = self._executor.wait(timeout)
        if not outcomes and timeout is None and self._under_way.total():
            self.broken.append("wait() without a timeout gives nothing, though attempts are under way")
        if timeout is not None and time.monotonic() - started > timeout + 10:
            self.broken.append(f"wait({timeout}) takes {time.monotonic() - started:.1f} s")
        for outcome in outcomes:
            if not self._under_way[outcome.task.step_run_id]:
                self.broken.append(f"{outcome.task.label} is reported, but not under way")
            self._under_way[outcome.task.step_run_id] -= 1
        return outcomes

    def cancel(self, task: StepTask) -> None:
        self._executor.cancel(task)

    def close(self) -> None:
        self._executor.close()
        self.is_closed = True
