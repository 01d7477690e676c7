"""`zenml pipeline runs logs`: what steps have printed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from zenml.cli.session import active_run
from zenml.cli.terminal import Terminal, pass_terminal

if TYPE_CHECKING:
    from zenml.post_execution import PipelineRunView
    from zenml.post_execution.logs import StepLog

_POLL = 0.2


@click.command()
@click.argument("run_name", metavar="RUN_NAME")
@click.argument("step", metavar="[STEP]", required=False)
@click.option("-f", "--follow", is_flag=True, help="Go on until the step, or the run, has ended.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of each log."
)
@click.option(
    "--attempt",
    type=click.IntRange(min=1),
    metavar="N",
    help="The Nth attempt of the step; the last by default.",
)
@pass_terminal
def logs(
    terminal: Terminal,
    *,
    run_name: str,
    step: str | None,
    follow: bool,
    lines: int | None,
    attempt: int | None,
) -> None:
    """Show what the steps of a run have printed and logged, or one of them.

    STEP is "train", or "train[3]" for an instance of a mapped step. The log of a cached step is that of the run in which it really ran.
    Values of secrets are shown as ***. The logs alone go to stdout.
    """
    if attempt is not None and (step is None or follow):
        raise click.UsageError("--attempt is for the log of one STEP, without --follow.")
    terminal.output = "log"  # what is no log goes to stderr
    run = active_run(terminal, run_name)
    if follow:
        _Follower(terminal, run, step, lines).follow()
        return
    found = list(run.logs(step, attempt=attempt))
    alone = step is not None and len(found) == 1
    for log in found:
        _head(terminal, log, alone=alone)
        text = log.text()
        if text is None:
            (terminal.say if alone else click.echo)(log.absence())
        else:
            click.echo(_last_lines(text, lines), nl=not text.endswith("\n"))


class _Follower:
    """Shows the logs of a run while they grow, whichever does."""

    def __init__(self, terminal: Terminal, run: PipelineRunView, step: str | None, lines: int | None) -> None:
        self._terminal = terminal
        self._run = run
        self._step = step
        self._lines = lines
        self._read: dict[tuple[int, int], int] = {}
        self._done: set[int] = set()
        self._shown: tuple[int, int] | None = None

    def follow(self) -> None:
        """Show what there is and what comes, until what is followed has ended."""
        while True:
            began = time.monotonic()
            # Asked before the logs are read: what is printed until the end is read.
            is_over = self._run.status.is_finished
            found = list(self._run.logs(self._step))
            for log in found:
                self._show_new(log)
            if is_over or (self._step is not None and all(log.step.status.is_finished for log in found)):
                break
            time.sleep(max(_POLL, 5 * (time.monotonic() - began)))
        if not self._read and self._step is not None:
            for log in found:
                self._terminal.say(log.absence())

    def _show_new(self, log: StepLog) -> None:
        if log.step.id in self._done or not log.attempt:
            return
        for number in range(1 if (log.step.id, 1) in self._read else log.attempt, log.attempt + 1):
            self._show_attempt(log.of_attempt(number))
        if log.step.status.is_finished:
            self._done.add(log.step.id)

    def _show_attempt(self, log: StepLog) -> None:
        key = (log.step.id, log.attempt)
        content = log.read(self._read.get(key, 0))
        content = content[: content.rfind(b"\n") + 1]
        if not content:
            return
        text = content.decode("utf-8", "replace")
        if key not in self._read:
            text = _last_lines(text, self._lines)
        if self._shown != key:
            _head(self._terminal, log, alone=self._step is not None and log.label == self._step)
            self._shown = key
        self._read[key] = self._read.get(key, 0) + len(content)
        click.echo(text, nl=False)


def _head(terminal: Terminal, log: StepLog, *, alone: bool) -> None:
    notes = []
    if log.is_cached:
        notes.append(f"cached: the log of the run '{log.run}'")
    if log.attempt > 1:
        notes.append(f"attempt {log.attempt}")
    heading = f"==> {log.label}" + (f" ({', '.join(notes)})" if notes else "")
    if not alone:
        click.echo(heading)
    elif notes:
        terminal.say(heading)


def _last_lines(text: str, number: int | None) -> str:
    return text if number is None else "".join(text.splitlines(keepends=True)[-number:] if number else [])
