"""The step that is running in this context, for whatever code it calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.model.runs import StepTask


@dataclass(frozen=True)
class RunningStep:
    """A step in execution.

    `stack` is the `zenml.stack.Stack` it runs on; `output_uris` gives the folder of each declared output.
    """

    deployment: Deployment
    task: StepTask
    stack: Any  # a Stack: this layer lies below it
    output_uris: Mapping[str, str]

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline."""
        return self.deployment.pipeline

    @property
    def run_name(self) -> str:
        """Name of the run."""
        return self.deployment.run_name

    @property
    def step_name(self) -> str:
        """Name of the step in its pipeline."""
        return self.task.step


_running: ContextVar[RunningStep | None] = ContextVar("zenml_running_step", default=None)


def running_step() -> RunningStep | None:
    """The step that this code runs in, or None outside of one."""
    return _running.get()


@contextmanager
def running(step: RunningStep) -> Iterator[None]:
    """Mark `step` as running in this context."""
    token = _running.set(step)
    try:
        yield
    finally:
        _running.reset(token)
