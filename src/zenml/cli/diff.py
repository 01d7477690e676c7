"""`zenml pipeline runs diff`."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.session import active_stack, find_run
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal

if TYPE_CHECKING:
    from zenml.post_execution.diff import RunDiff

_DIGEST = re.compile(r"[0-9a-f]{40,64}")
_SHOWN = 12  # characters of a digest
_MOST = 10  # steps whose times are shown


@click.command("diff")
@click.argument("old", metavar="RUN_A")
@click.argument("new", metavar="RUN_B")
@output_option
@pass_terminal
def diff(terminal: Terminal, old: str, new: str) -> None:
    """Show what two runs differ in.

    Code, parameters, settings, environment, stack, inputs and outputs (by their content), statuses, metrics. Times are
    shown, but do not count as a difference.
    """
    from zenml.post_execution.diff import diff as compare

    stack = active_stack(terminal)
    found = compare(find_run(stack, old), find_run(stack, new))
    if terminal.output != "table":
        terminal.show(found.to_document(), None)
        return
    rows = [(d.step, d.kind, d.name, _text(d.old), _text(d.new)) for d in found.differences]
    terminal.show(
        None,
        Table(("STEP", "WHAT", "NAME", old, new), rows) if rows else None,
        f"The runs '{old}' and '{new}' do not differ: code, parameters, settings, environment, stack, inputs, outputs, metrics and "
        "statuses are the same.",
    )
    terminal.show(None, _times(found))


def _times(found: RunDiff) -> Table:
    run, *steps = found.times
    changed = [times for times in steps if times.old is not None and times.new is not None]
    changed.sort(key=lambda times: abs((times.new or 0) - (times.old or 0)), reverse=True)
    rows = [
        ("the run" if times is run else times.step, _shown(times.old), _shown(times.new))
        for times in (run, *changed[:_MOST])
    ]
    left_out = len(changed) - _MOST
    caption = f"{left_out} steps are left out: see -o json." if left_out > 0 else ""
    return Table(("SECONDS", found.old, found.new), rows, caption=caption)


def _shown(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"


def _text(value: Any) -> str:
    from zenml.post_execution.diff import ABSENT

    if value is ABSENT:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text[:_SHOWN] if _DIGEST.fullmatch(text) else text
