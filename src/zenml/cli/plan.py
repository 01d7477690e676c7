"""`zenml pipeline plan`: what a run would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zenml.cli.pipeline import file_options
from zenml.cli.session import Session
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal

if TYPE_CHECKING:
    from zenml.model.plan import Plan


@click.command()
@file_options
@output_option
@pass_terminal
@click.pass_context
def plan(ctx: click.Context, terminal: Terminal, file: Path, config: Path | None, name: str | None) -> None:
    """Show what `zenml pipeline run` would do now: nothing is executed, and nothing recorded.

    For each step whether it would be executed, or taken from the cache, and why; where, and how many seconds it took
    when it last was. A step that `depends` reads what is known by the run only: it is executed, unless that is as it
    was before.
    """
    from zenml.cli.running import UserCodeError, plan_file

    Session.open(terminal, stack=True)
    try:
        found = plan_file(terminal, file, config, name)
    except UserCodeError as error:
        click.echo(error, err=True)
        ctx.exit(1)
    terminal.show(found.to_document(), _table(found))
    if terminal.output == "table":
        for sentence in found.missing:
            terminal.warn(sentence)


def _table(found: Plan) -> Table:
    rows = [
        (
            step.label,
            step.action,
            "; ".join(step.reasons),
            f"{step.component} ({step.place})",
            "" if step.seconds is None else f"{step.seconds:.3f}",
        )
        for step in found.steps
    ]
    counts = ", ".join(f"{number} {action}" for action, number in found.actions.items())
    seconds = f"; {found.seconds:.3f} seconds if all that may run does" if found.seconds else ""
    return Table(
        ("STEP", "ACTION", "WHY", "WHERE", "SECONDS"),
        rows,
        title=f"A run of the pipeline '{found.pipeline}' on the stack '{found.stack}'",
        caption=f"{counts}{seconds}",
    )
