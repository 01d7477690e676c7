"""`zenml pipeline why`: why steps ran, or did not have to."""

from __future__ import annotations

import click

from zenml.cli.session import active_run
from zenml.cli.terminal import Terminal, output_option, pass_terminal


@click.command()
@click.argument("run_name", metavar="RUN_NAME")
@click.argument("step", metavar="[STEP]", required=False)
@output_option
@pass_terminal
def why(terminal: Terminal, run_name: str, step: str | None) -> None:
    """Say why each step of a run, or one, was executed or taken from the cache.

    A step is compared with the same one in the last run before. Instances of a mapped step are asked for by their
    index, as in train[3].
    """
    from zenml.post_execution.why import why as explain
    from zenml.post_execution.why import why_all

    run = active_run(terminal, run_name)
    found = why_all(run) if step is None else [explain(run, step)]
    if terminal.output != "table":
        terminal.show([explanation.to_document() for explanation in found], None)
        return
    for explanation in found:
        first, *others = explanation.reasons
        terminal.say(f"{explanation.step} ({explanation.status}): {first}")
        for reason in others:
            terminal.say(f"  {reason}")
