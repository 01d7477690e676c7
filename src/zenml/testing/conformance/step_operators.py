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
from zenml.exceptions import RunError
from zenml.testing.assertions import assert_cached, assert_ran, assert_skipped
from zenml.testing.conformance import programs
from zenml.testing.conformance.orchestrators import value_of
from zenml.testing.conformance.suite import Suite, assert_healthy, undefined
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

if TYPE_CHECKING:
    from zenml.stack import Stack, StackComponent
    from zenml.step_operators import BaseStepOperator


class StepOperatorConformance(Suite):
    """The duties of `BaseStepOperator`.

    `step_operator` is the one under test; in its environment, this package can be imported. `components` are those of its stack that
    cannot be the local ones, by type: an artifact store and a metadata store that its steps can reach.
    """

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

    @staticmethod
    def _launch(operator: BaseStepOperator, code: str) -> None:
        operator.launch("pipeline", "run", [], [sys.executable, "-c", code])
