"""Who is told how a run goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

from zenml.enums import ExecutionStatus
from zenml.post_execution.wording import duration

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.model.runs import ErrorRecord

logger = logging.getLogger("zenml.run")


class RunObserver(Protocol):
    """Is told what happens in a run, in order, from the driver's thread. Must be quick, and must not raise."""

    def run_started(self, deployment: Deployment) -> None:
        """The run is registered."""
        ...

    def step_started(self, step: str) -> None:
        """A step is executed from now on."""
        ...

    def step_finished(
        self, step: str, status: ExecutionStatus, seconds: float, error: ErrorRecord | None
    ) -> None:
        """A step was executed."""
        ...

    def step_retried(self, step: str, attempt: int, error: ErrorRecord, delay: float) -> None:
        """An attempt of a step has failed; `attempt`, the number of the next one, starts in `delay` seconds."""
        ...

    def step_expanded(self, step: str, count: int) -> None:
        """A mapped step has `count` instances, "train[0]", "train[1]" ..., that are told of like steps from now on.

        The step itself ends, as `step_finished` or `step_cached` tells, when all of them have ended.
        """
        ...

    def step_cached(self, step: str) -> None:
        """A step takes its outputs from an earlier run."""
        ...

    def step_skipped(self, step: str, reason: str) -> None:
        """A step is not executed."""
        ...

    def run_finished(self, status: ExecutionStatus, seconds: float) -> None:
        """The run has ended."""
        ...


class LogObserver:
    """Writes a line for each event to the log."""

    def __init__(self) -> None:
        self._run = ""

    def run_started(self, deployment: Deployment) -> None:
        """Remember the run's name."""
        self._run = deployment.run_name

    def step_started(self, step: str) -> None:
        """Log the start."""
        logger.info("Step `%s` has started.", step)

    def step_finished(
        self, step: str, status: ExecutionStatus, seconds: float, error: ErrorRecord | None
    ) -> None:
        """Log the end, with the error."""
        if error is None:
            logger.info("Step `%s` has finished in %s.", step, duration(seconds))
        else:
            logger.error(
                "Step `%s` %s after %s: %s: %s",
                step,
                ended(status),
                duration(seconds),
                error.type,
                error.message,
            )

    def step_retried(self, step: str, attempt: int, error: ErrorRecord, delay: float) -> None:
        """Log the error, and when the step is tried again."""
        when = f"in {duration(delay)}" if delay else "now"
        logger.warning(
            "Step `%s` failed, attempt %d starts %s: %s: %s", step, attempt, when, error.type, error.message
        )

    def step_expanded(self, step: str, count: int) -> None:
        """Log the number."""
        logger.info("Step `%s` has %d instances.", step, count)

    def step_cached(self, step: str) -> None:
        """Log the hit."""
        logger.info("Using cached version of `%s`.", step)

    def step_skipped(self, step: str, reason: str) -> None:
        """Log the reason."""
        logger.warning("Step `%s` is skipped: %s", step, reason)

    def run_finished(self, status: ExecutionStatus, seconds: float) -> None:
        """Log the end."""
        logger.info("Pipeline run `%s` %s in %s.", self._run, ended(status), duration(seconds))


_observer: ContextVar[RunObserver | None] = ContextVar("zenml_run_observer", default=None)


@contextmanager
def observing(observer: RunObserver) -> Iterator[None]:
    """Let `observer` be told of the runs that are started in this context, instead of the log."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def present_observer() -> RunObserver:
    """The observer of this context."""
    return _observer.get() or LogObserver()


def ended(status: ExecutionStatus) -> str:
    """How something ended, as the verb of a sentence."""
    words = {ExecutionStatus.COMPLETED: "has finished", ExecutionStatus.FAILED: "has failed"}
    return words.get(status, f"was {status}")
