"""`zenml pipeline runs delete`."""

from __future__ import annotations

import click

from zenml.cli.session import active_stack, find_run
from zenml.cli.terminal import Terminal, pass_terminal


@click.command("delete")
@click.argument("names", metavar="RUN...", nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def delete(terminal: Terminal, names: tuple[str, ...], yes: bool) -> None:
    """Delete runs that have ended: what is recorded of them, and their files.

    A run whose results another one took from the cache is deleted only together with that one. Everything goes to the trash:
    `zenml prune undo` brings it back, `zenml prune empty` deletes it for good.
    """
    from zenml.post_execution.prune import check_deletable, delete_runs
    from zenml.post_execution.trash import Trash
    from zenml.post_execution.view import Stores

    stack = active_stack(terminal)
    metadata, artifacts = stack.metadata_store, stack.artifact_store
    runs = [metadata.run(find_run(stack, name).id) for name in dict.fromkeys(names)]
    check_deletable(metadata, artifacts, runs)
    what = f"{'run' if len(runs) == 1 else 'runs'} " + ", ".join(f"'{run.name}'" for run in runs)
    if not terminal.confirm(f"This will delete the {what}. Are you sure you want to proceed?", yes=yes):
        terminal.say("Deletion canceled.")
        return
    entry = delete_runs(metadata, artifacts, runs)
    if waits_for := Trash(Stores(metadata, artifacts)).waits_for(entry):
        terminal.paragraph(
            f"The {what} will be deleted when the runs in progress have ended that may still read their results "
            f"({', '.join(waits_for)}): run `zenml prune --yes` then."
        )
        return
    if entry.kept:
        terminal.warn(f"Kept, because other runs use their results by now: {', '.join(entry.kept)}.")
    if entry.uuids:
        terminal.say(
            f"Deleted {', '.join(repr(name) for name in entry.uuids)}; `zenml prune undo {entry.id[:8]}` brings back what was deleted."
        )
