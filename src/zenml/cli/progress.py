"""The live display of a run."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from rich.box import HEAVY_EDGE
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from zenml.engine.observer import duration
from zenml.enums import ExecutionStatus

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from typing_extensions import Self

    from zenml.model.deployment import Deployment
    from zenml.model.runs import ErrorRecord

_STYLES = {
    ExecutionStatus.PENDING: "dim",
    ExecutionStatus.RUNNING: "bold cyan",
    ExecutionStatus.COMPLETED: "green",
    ExecutionStatus.CACHED: "green",
    ExecutionStatus.SKIPPED: "yellow",
}


class LiveObserver:
    """Shows the steps of a run in a table that changes while they run: step, state, time, why.

    Used as a context: the table is live within it, and stays as it is at the end.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._run = ""
        self._states: dict[str, ExecutionStatus] = {}
        self._started: dict[str, float] = {}
        self._seconds: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._live = Live(console=console, get_renderable=self._display, refresh_per_second=8)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.stop()

    def run_started(self, deployment: Deployment) -> None:
        """List the steps."""
        self._run = deployment.run_name
        self._states = {step.name: ExecutionStatus.PENDING for step in deployment.steps}

    def step_started(self, step: str) -> None:
        """Show the step as running, with its time."""
        self._started[step] = self._clock()
        self._states[step] = ExecutionStatus.RUNNING

    def step_finished(
        self, step: str, status: ExecutionStatus, seconds: float, error: ErrorRecord | None
    ) -> None:
        """Show how the step ended."""
        self._states[step] = status
        self._seconds[step] = seconds
        if error is not None:
            self._notes[step] = f"{error.type}: {error.message}"

    def step_retried(self, step: str, attempt: int, error: ErrorRecord, delay: float) -> None:
        """Show what the attempt before failed with."""
        self._notes[step] = f"attempt {attempt} after {error.type}: {error.message}"

    def step_expanded(self, step: str, count: int) -> None:
        """Show the number of instances."""
        self._notes[step] = f"{count} instances"

    def step_cached(self, step: str) -> None:
        """Show the step as cached."""
        self._states[step] = ExecutionStatus.CACHED

    def step_skipped(self, step: str, reason: str) -> None:
        """Show why the step is not executed."""
        self._states[step] = ExecutionStatus.SKIPPED
        self._notes[step] = reason

    def run_finished(self, status: ExecutionStatus, seconds: float) -> None:
        """Show the result above the table, behind the run's name."""
        self._run = f"{self._run}: {status} in {duration(seconds)}"

    def _display(self) -> RenderableType:
        if not self._states:
            return ""
        table = Table(box=HEAVY_EDGE)
        table.add_column("STEP", no_wrap=True)
        table.add_column("STATE", no_wrap=True)
        table.add_column("TIME", no_wrap=True, justify="right")
        table.add_column("NOTE", no_wrap=True, overflow="ellipsis")
        for step, state in self._states.items():
            table.add_row(
                Text(step),
                Text(str(state), _STYLES.get(state, "bold red")),
                self._time(step),
                Text(self._notes.get(step, "")),
            )
        return Group(Text(self._run), table)

    def _time(self, step: str) -> str:
        if step in self._seconds:
            return duration(self._seconds[step])
        return duration(self._clock() - self._started[step]) if step in self._started else ""
