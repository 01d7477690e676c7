"""What every step operator does: single commands, and steps of whole runs."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import RunError, StackValidationError, StepTimeoutError
from zenml.testing.assertions import assert_cached, assert_ran, assert_skipped
from zenml.testing.conformance import programs
from zenml.testing.conformance.orchestrators import cancelled_when_started, log_of, value_of
from zenml.testing.conformance.suite import Suite, assert_healthy, needs, undefined
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

if TYPE_CHECKING:
    from zenml.stack import Stack, StackComponent
    from zenml.step_operators import BaseStepOperator


class StepOperatorConformance(Suite):
    """The duties of `BaseStepOperator`.

    `step_operator` is the one under test; in its environment, this package can be imported. `components` are those of its stack that
    cannot be the local ones, by type: an artifact store and a metadata store that its steps can reach.

    A flavor may leave out, by `cannot`: "cancel", "logs", "map", "parallel" (two steps at the same time), "resources", "resume", "retries",
    "timeout".
    """

    seconds = 60.0
    """For how long a run of a few small steps may take at the most."""

    @pytest.fixture
    def step_operator(self) -> BaseStepOperator:
        """The step operator under test."""
        undefined(self, "step_operator", "a step operator")

    @pytest.fixture
    def components(self) -> dict[str, StackComponent]:
        """Components of the stack besides the step operator, by type."""
        return {}

    @pytest.fixture
    def stack(
        self, step_operator: BaseStepOperator, components: dict[str, StackComponent], tmp_path: Path
    ) -> Iterator[Stack]:
        """The stack that everything runs on."""
        with isolated_stack(
            tmp_path / "world",
            secrets={"service": {"user": "ann"}},
            step_operator=step_operator.updated({"name": "operator"}),  # the name that the steps ask for
            **components,
        ) as stack:
            yield stack

    def test_a_check_passes(self, step_operator: BaseStepOperator) -> None:
        assert_healthy(step_operator)

    def test_a_command_has_ended_when_launch_returns(self, step_operator: BaseStepOperator) -> None:
        started = time.monotonic()
        self._launch(step_operator, "import time; time.sleep(1)")
        assert time.monotonic() - started >= 1

    def test_a_command_that_fails_is_an_error(self, step_operator: BaseStepOperator) -> None:
        with pytest.raises(RunError):
            self._launch(step_operator, "raise SystemExit(3)")

    def test_a_command_that_cannot_be_found_is_an_error(self, step_operator: BaseStepOperator) -> None:
        with pytest.raises(RunError):
            step_operator.launch(
                "pipeline", "run", [], [sys.executable, "-m", "zenml.testing.there_is_no_such_module"]
            )

    def test_a_step_runs_there_between_steps_here(self, stack: Stack) -> None:
        run = programs.over_there(value=7).run()
        assert_ran(run)
        assert value_of(run, "look_at") == 7
        told = value_of(run, "elsewhere")
        assert told["pid"] != os.getpid()
        assert (told["step"], told["secret"]) == ("elsewhere", "ann")

    def test_what_has_not_changed_is_taken_from_the_cache(self, stack: Stack) -> None:
        programs.heavy_there(megabytes=1).run()
        assert_cached(programs.heavy_there(megabytes=1).run())

    def test_a_large_value_goes_there_and_back(self, stack: Stack) -> None:
        assert value_of(programs.heavy_there(megabytes=16).run(), "measure") == 32 << 20

    def test_a_step_that_fails_there_has_its_own_error(self, stack: Stack) -> None:
        with pytest.raises(Exception, match="no good: 1"):
            programs.failing_there().run()
        run = last_run()
        assert run.status is ExecutionStatus.FAILED
        failed = run.get_step("fail_elsewhere")
        assert failed.error is not None
        assert (failed.error.type, failed.error.message) == ("ValueError", "no good: 1")
        assert_skipped(run, "behind")
        assert run.get_step("beside_too").status is ExecutionStatus.COMPLETED

    def test_a_step_that_ends_without_a_word_there_has_failed(self, stack: Stack) -> None:
        with pytest.raises(RunError):
            programs.dying_there().run()
        run = last_run()
        assert run.get_step("die_elsewhere").status in (ExecutionStatus.CRASHED, ExecutionStatus.FAILED)
        assert_skipped(run, "behind")

    @needs("resources")
    def test_what_can_never_be_had_there_is_refused_before_anything_is_recorded(self, stack: Stack) -> None:
        with pytest.raises(StackValidationError, match="the step 'immodest_elsewhere' needs cpu") as refused:
            programs.beyond_means_there().run()
        assert "step operator 'operator'" in str(refused.value)
        assert stack.metadata_store.count_runs() == 0

    @needs("parallel")
    def test_steps_run_there_at_the_same_time(self, stack: Stack) -> None:
        run = programs.meeting_there().run()
        assert value_of(run, "one") is True
        assert value_of(run, "two") is True

    @needs("map")
    def test_a_step_is_executed_there_for_each_item_of_a_list(self, stack: Stack) -> None:
        assert value_of(programs.mapped_there(count=2).run(), "collect") == 1

    @needs("retries")
    def test_a_failed_attempt_there_is_followed_by_another(self, stack: Stack) -> None:
        step = programs.retried_there(failures=1).run().get_step("flaky_elsewhere")
        assert (step.status, step.attempts, step.output.read()) == (ExecutionStatus.COMPLETED, 2, 2)

    @needs("timeout")
    def test_a_step_that_takes_too_long_there_is_ended_whatever_it_does(self, stack: Stack) -> None:
        started = time.monotonic()
        with pytest.raises(StepTimeoutError):
            programs.too_long_there().run()
        assert time.monotonic() - started < min(self.seconds, programs.SECONDS - 5)
        run = last_run()
        assert run.get_step("endless_elsewhere").status is ExecutionStatus.FAILED
        assert run.get_step("beside").status is ExecutionStatus.COMPLETED
        assert_skipped(run, "behind")

    @needs("cancel")
    def test_a_run_is_cancelled_while_a_step_runs_there(self, stack: Stack) -> None:
        started = time.monotonic()
        with (
            cancelled_when_started(stack, "wait_elsewhere"),
            pytest.raises((RunError, KeyboardInterrupt)),
        ):
            programs.waiting_there().run()
        assert time.monotonic() - started < min(self.seconds, programs.SECONDS - 5)
        run = last_run()
        assert (run.status, run.get_step("wait_elsewhere").status) == (ExecutionStatus.CANCELLED,) * 2
        assert_skipped(run, "behind")

    @needs("resume")
    def test_what_is_finished_there_is_taken_when_a_run_is_resumed(self, stack: Stack) -> None:
        with pytest.raises(Exception, match="no good"):
            programs.going_on_there(failing=True).run(run_name="first")
        token = value_of(last_run(), "token_elsewhere")
        run = programs.going_on_there(failing=False).resume("first", accept_changes=True)
        assert value_of(run, "token_elsewhere") == token
        assert_cached(run, "token_elsewhere")

    @needs("logs")
    def test_what_a_step_says_there_is_in_its_log(self, stack: Stack) -> None:
        told = log_of(stack, programs.shouting_there(word="hello").run(), "shout_elsewhere")
        for way in ("stdout", "stderr", "logging"):
            assert f"{way} hello" in told

    @staticmethod
    def _launch(operator: BaseStepOperator, code: str) -> None:
        operator.launch("pipeline", "run", [], [sys.executable, "-c", code])
