"""The live display of a run."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import chain, islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from rich.box import HEAVY_EDGE
from rich.console import Group
from rich.live import Live
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from zenml.engine.capture import redirect_handlers
from zenml.enums import ExecutionStatus
from zenml.post_execution.wording import duration, plain

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from typing_extensions import Self

    from zenml.model.deployment import Deployment
    from zenml.model.runs import ErrorRecord

_STYLES = {
    ExecutionStatus.PENDING: "dim",
    ExecutionStatus.SUBMITTED: "dim",
    ExecutionStatus.RUNNING: "bold cyan",
    ExecutionStatus.COMPLETED: "green",
    ExecutionStatus.CACHED: "green",
    ExecutionStatus.SKIPPED: "yellow",
    ExecutionStatus.CANCELLED: "yellow",
}
_FRAME = 7
"""Lines around the rows of steps: the run, the table's frame and heading, the summary, and one for the cursor."""
_AT_LEAST = 4


def style_of(status: ExecutionStatus) -> str:
    """How rich shows a status."""
    return _STYLES.get(status, "bold red")


class LiveObserver:
    """Shows the steps of a run in a table that changes while they run: step, state, time, why.

    What does not fit on the screen is summed up: then only the steps that run and those that failed have rows of their own. Instances of
    mapped steps have rows only while they run, or when they failed.

    Used as a context: the table is live within it, and stays as it is at the end.
    """

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._run = ""
        self._steps: dict[str, ExecutionStatus] = {}
        self._instances: dict[str, Counter[ExecutionStatus]] = {}
        self._open: dict[str, float] = {}
        self._failed: dict[str, ExecutionStatus] = {}
        self._skipped: dict[str, ExecutionStatus] = {}
        self._seconds: dict[str, float] = {}
        self._notes: dict[str, str] = {}
        self._live = Live(
            console=console,
            get_renderable=self._display,
            refresh_per_second=8,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        if self._console.is_terminal:
            self._console.file = self._console.file  # from now on this one, whatever `sys.stdout` is
            for name in ("stdout", "stderr"):
                stream = getattr(sys, name)
                if stream is not None and stream.isatty():
                    self._exchange(name, _AboveTable(self._console, stream))
        return self

    def __exit__(
        self, type_: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if isinstance(stream, _AboveTable):
                stream.end()
                self._exchange(name, stream.below)
        self._live.stop()

    @staticmethod
    def _exchange(name: str, stream: Any) -> None:
        before = getattr(sys, name)
        setattr(sys, name, stream)
        redirect_handlers(before, stream)

    def run_started(self, deployment: Deployment) -> None:
        """List the steps."""
        self._run = deployment.run_name
        self._steps = {step.name: ExecutionStatus.PENDING for step in deployment.steps}

    def step_started(self, step: str) -> None:
        """Show the step as running, with its time."""
        if step not in self._open:
            self._open[step] = self._clock()
            self._set(step, ExecutionStatus.PENDING, ExecutionStatus.RUNNING)

    def step_finished(
        self, step: str, status: ExecutionStatus, seconds: float, error: ErrorRecord | None
    ) -> None:
        """Show how the step ended."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, _AboveTable):
                stream.end()
        self._notes.pop(step, None)
        if error is not None:
            self._notes[step] = f"{error.type}: {error.message}"
        if step in self._steps or not status.is_successful:
            self._seconds[step] = seconds
        self._end(step, status)

    def step_retried(self, step: str, attempt: int, error: ErrorRecord, delay: float) -> None:
        """Show what the attempt before failed with."""
        self._notes[step] = f"attempt {attempt}, after {error.type}: {error.message}"

    def step_expanded(self, step: str, count: int) -> None:
        """Count the instances by their state from now on."""
        self._instances[step] = Counter({ExecutionStatus.PENDING: count})
        self.step_started(step)

    def step_cached(self, step: str) -> None:
        """Show the step as cached."""
        self._end(step, ExecutionStatus.CACHED)

    def step_skipped(self, step: str, reason: str) -> None:
        """Show why the step is not executed."""
        self._notes[step] = reason
        self._end(step, ExecutionStatus.SKIPPED)

    def run_finished(self, status: ExecutionStatus, seconds: float) -> None:
        """Show the result above the table, behind the run's name."""
        self._run = f"{self._run}: {status} in {duration(seconds)}"

    def _end(self, step: str, status: ExecutionStatus) -> None:
        was_running = self._open.pop(step, None) is not None
        self._set(step, ExecutionStatus.RUNNING if was_running else ExecutionStatus.PENDING, status)
        if status is ExecutionStatus.SKIPPED:
            self._skipped[step] = status
        elif not status.is_successful:
            self._failed[step] = status

    def _set(self, step: str, before: ExecutionStatus, status: ExecutionStatus) -> None:
        if step in self._steps:
            self._steps[step] = status
        elif counts := self._instances.get(step.rpartition("[")[0]):
            counts[before] -= 1
            counts[status] += 1

    def _display(self) -> RenderableType:
        # Called by rich's own thread: it works on copies, each made in one go.
        if not self._steps:
            return ""
        room = max(self._console.height - _FRAME, _AT_LEAST)
        rows = self._rows(room)
        table = Table(box=HEAVY_EDGE)
        table.add_column("STEP", no_wrap=True)
        table.add_column("STATE", no_wrap=True)
        table.add_column("TIME", no_wrap=True, justify="right")
        table.add_column("NOTE", no_wrap=True, overflow="ellipsis")
        for step, state in rows.items():
            table.add_row(
                Text(self._label(step)),
                Text(str(state), style_of(state)),
                self._time(step),
                Text(self._note(step)),
            )
        parts: list[RenderableType] = [Text(self._run), table]
        if not rows.keys() >= self._steps.keys():
            counts = Counter(self._steps.copy().values())
            shown = ", ".join(f"{number} {state}" for state, number in counts.items())
            parts.append(Text(f"{len(self._steps)} steps: {shown}", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _rows(self, room: int) -> dict[str, ExecutionStatus]:
        """What is shown: each step where there is room for all, else what runs and what failed; then instances that run or failed."""
        if len(self._steps) <= room:
            rows = self._steps.copy()
        else:
            running = [step for step in self._open.copy() if step in self._steps]
            rows = dict.fromkeys(running[: max(room // 2, 1)], ExecutionStatus.RUNNING)
            rows.update(self._first(room - len(rows), instances=False))
        free = room - len(rows)
        rows.update(self._first(free // 2, instances=True))
        running = [step for step in self._open.copy() if step not in self._steps]
        rows.update((step, ExecutionStatus.RUNNING) for step in running[: room - len(rows)])
        return rows

    def _first(self, number: int, *, instances: bool) -> dict[str, ExecutionStatus]:
        """The first steps, or instances, that ended in a way worth a row: failures before what was skipped."""
        ended = chain(self._failed.copy().items(), self._skipped.copy().items())
        return dict(
            islice(((step, s) for step, s in ended if (step not in self._steps) is instances), number)
        )

    def _label(self, step: str) -> str:
        counts = self._instances.get(step)
        return plain(step if counts is None else f"{step} ×{counts.total()}")  # noqa: RUF001

    def _note(self, step: str) -> str:
        counts = self._instances.get(step)
        shown = [f"{number} {state}" for state, number in (counts.copy() if counts else {}).items() if number]
        return plain("; ".join(filter(None, [", ".join(shown), self._notes.get(step, "")])))

    def _time(self, step: str) -> str:
        if step in self._seconds:
            return duration(self._seconds[step])
        started = self._open.get(step)
        return "" if started is None else duration(self._clock() - started)


class _AboveTable:
    """A stream whose whole lines appear above what is live. That of rich takes each line apart, and shows a part of a line as a line."""

    def __init__(self, console: Console, stream: TextIO) -> None:
        self._console = console
        self.below = stream
        self._rest = ""

    def write(self, text: str) -> int:
        """Show the lines that are whole."""
        lines, end, rest = (self._rest + text).rpartition("\n")
        self._rest = rest.rpartition("\r")[2] if not rest.endswith("\r") else rest
        if end:
            self._show(lines + end)
        return len(text)

    def flush(self) -> None:
        """A part of a line waits for the rest: it would be overwritten by the table."""

    def end(self) -> None:
        """Show what has no end."""
        if self._rest:
            self.write("\n")

    def _show(self, lines: str) -> None:
        self._console.print(_Raw(lines), end="")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


class _Raw:
    """Text that goes to the terminal as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Segment(self._text)
