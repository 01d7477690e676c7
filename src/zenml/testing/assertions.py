"""What a run did, as assertions."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from zenml.enums import ExecutionStatus
from zenml.post_execution.why import why_all

if TYPE_CHECKING:
    from zenml.post_execution import PipelineRunView

_RAN = (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED, ExecutionStatus.CRASHED)


def assert_cached(run: PipelineRunView, *steps: str) -> None:
    """See that these steps (without any, all) were taken from the cache.

    Raises:
        AssertionError: one was not; it tells of each step of the run how it ended, and why it ran.
    """
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
        errors = {step.name: f"{step.error.type}: {step.error.message}" for step in run.steps if step.error}
        told = "".join(
            f"\n  {one.step}: {one.status}, {'; '.join([*filter(None, [errors.get(one.step)]), *one.reasons])}"
            for one in why_all(run)
        )
        raise AssertionError(f"Not {what} in the run '{run.name}': {listed}. Its steps:{told}")
