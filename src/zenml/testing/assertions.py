"""What a run did, as assertions."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from zenml.enums import ExecutionStatus

if TYPE_CHECKING:
    from zenml.post_execution import PipelineRunView, StepView

_RAN = (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED)


def assert_cached(run: PipelineRunView, *steps: str) -> None:
    """See that these steps (without any, all) were taken from the cache. Raises AssertionError, which tells how each step ended."""
    __tracebackhide__ = True
    _check(run, steps, (ExecutionStatus.CACHED,), "taken from the cache")


def assert_ran(run: PipelineRunView, *steps: str) -> None:
    """See that these steps (without any, all) were executed, to a good end or a bad one. Raises AssertionError."""
    __tracebackhide__ = True
    _check(run, steps, _RAN, "executed")


def assert_skipped(run: PipelineRunView, *steps: str) -> None:
    """See that these steps (without any, all) were skipped. Raises AssertionError."""
    __tracebackhide__ = True
    _check(run, steps, (ExecutionStatus.SKIPPED,), "skipped")


def _check(
    run: PipelineRunView, names: Collection[str], expected: Collection[ExecutionStatus], what: str
) -> None:
    __tracebackhide__ = True
    steps = [run.get_step(name) for name in names] if names else run.steps
    wrong = [step.name for step in steps if step.status not in expected]
    if wrong:
        listed = ", ".join(f"'{name}'" for name in wrong)
        how = "\n".join(f"  {_told(step)}" for step in run.steps)
        raise AssertionError(f"Not {what} in the run '{run.name}': {listed}. Its steps:\n{how}")


def _told(step: StepView) -> str:
    told = f"{step.name}: {step.status}"
    if step.error is not None:
        return f"{told}, {step.error.type}: {step.error.message}"
    return f"{told}, {step.reason}" if step.reason else told
