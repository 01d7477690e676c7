"""`zenml prune`: remove values that need not be kept, by way of a trash."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.session import active_stack
from zenml.cli.tables import Table, amount, counted, moment
from zenml.cli.terminal import Terminal, output_option, pass_terminal

if TYPE_CHECKING:
    from zenml.post_execution.prune import Pruning
    from zenml.post_execution.trash import Entry, Trash

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_MOST = 20  # runs that are shown


def _age(ctx: click.Context, param: click.Parameter, value: str | None) -> timedelta | None:
    if value is None:
        return None
    match = re.fullmatch(r"\s*(\d{1,9})\s*([smhdw])\s*", value)
    if match is None:
        raise click.BadParameter(
            f"{value!r} is no time span; expected a number and s, m, h, d or w, as in 30d or 12h.", ctx, param
        )
    return timedelta(seconds=int(match[1]) * _UNITS[match[2]])


@click.group(invoke_without_command=True)
@click.option(
    "--older-than", callback=_age, metavar="AGE", help="Let go runs that ended so long ago: 30d, 12h, 2w."
)
@click.option(
    "--keep-last",
    type=click.IntRange(min=0),
    metavar="N",
    help="Of each pipeline, keep the last N runs, and the last N that completed; let go the others.",
)
@click.option("--failed", is_flag=True, help="Let go only runs that failed, crashed or were cancelled.")
@click.option("-y", "--yes", is_flag=True, help="Do it. Without this, it is only told what would be done.")
@output_option
@pass_terminal
@click.pass_context
def prune(
    ctx: click.Context,
    terminal: Terminal,
    *,
    older_than: timedelta | None,
    keep_last: int | None,
    failed: bool,
    yes: bool,
) -> None:
    """Remove values of runs that need not be kept, and what failed attempts left behind.

    A run is let go if it satisfies all of the conditions given; without one, every run is kept. What is recorded of it stays, and so does
    each value that a run to keep made, read or took from the cache, and all that a run in progress may read. Code that was sent ahead
    goes with its last run, a day later. Removed
    files go to a trash in the artifact store: `zenml prune undo` brings them back, `zenml prune empty` deletes them for good.
    """
    if ctx.invoked_subcommand is not None:
        return
    from zenml.post_execution.prune import prune as run_prune

    stack = active_stack(terminal)
    result = run_prune(
        stack.metadata_store,
        stack.artifact_store,
        older_than=older_than,
        keep_last=keep_last,
        failed=failed,
        dry_run=not yes,
    )
    if terminal.output != "table":
        terminal.show(_document(result), None)
        return
    if result.runs:
        terminal.show(None, _table(result))
    for sentence in _sentences(result):
        terminal.paragraph(sentence)


@prune.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List what lies in the trash."""
    trash = _trash(terminal)
    entries = trash.entries()
    documents = [{**_entry_document(entry), "waits_for": trash.waits_for(entry)} for entry in entries]
    table = Table(
        ("ID", "REMOVED BY", "STATE", "SINCE", "FILES", "SIZE"),
        [
            (entry.id, entry.kind, entry.state, moment(entry.created), entry.files, amount(entry.bytes))
            for entry in entries
        ],
    )
    terminal.show(documents, table if entries else None, "The trash is empty.")


@prune.command("undo")
@click.argument("id", required=False)
@pass_terminal
def undo(terminal: Terminal, id: str | None) -> None:
    """Bring back what was removed: the last removal, or that whose ID begins so.

    Files lie where they lay before, byte for byte; deleted runs are recorded again.
    """
    trash = _trash(terminal)
    entry = trash.restore(trash.entry(id))
    what = f"Brought back what `{entry.kind}` removed on {moment(entry.created)}: {counted(entry.files, 'file')} ({amount(entry.bytes)})"
    runs = ", ".join(f"'{name}'" for name in entry.uuids or ())
    terminal.say(f"{what}, and the runs {runs}." if runs else f"{what}.")


@prune.command("empty")
@click.option(
    "--older-than",
    callback=_age,
    metavar="AGE",
    help="Only what was removed so long ago: 30d, 12h. Default: all.",
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def empty(terminal: Terminal, older_than: timedelta | None, yes: bool) -> None:
    """Delete for good what lies in the trash."""
    trash = _trash(terminal)
    before = time.time() - (older_than or timedelta(0)).total_seconds()
    due = [
        entry for entry in trash.entries() if entry.created <= before and entry.state in ("done", "emptying")
    ]
    if not due:
        terminal.say("There is nothing to delete.")
        return
    what = f"{counted(len(due), 'removal')} in the trash ({amount(sum(entry.bytes for entry in due))})"
    if not terminal.confirm(f"This will delete {what} for good. Are you sure you want to proceed?", yes=yes):
        terminal.say("Deletion canceled.")
        return
    trash.empty(before)
    terminal.say(f"Deleted {what}.")


def _trash(terminal: Terminal) -> Trash:
    from zenml.post_execution.trash import Trash
    from zenml.post_execution.view import Stores

    stack = active_stack(terminal)
    return Trash(Stores(stack.metadata_store, stack.artifact_store))


def _table(result: Pruning) -> Table:
    rows = [
        (
            one.run.pipeline,
            one.run.name,
            one.run.status.value,
            moment(one.run.ended),
            one.artifacts,
            amount(one.bytes),
        )
        for one in result.runs[:_MOST]
    ]
    more = len(result.runs) - _MOST
    caption = f"{more} more: see -o json." if more > 0 else ""
    return Table(("PIPELINE", "RUN", "STATUS", "ENDED", "ARTIFACTS", "SIZE"), rows, caption=caption)


def _sentences(result: Pruning) -> list[str]:
    artifacts = sum(one.artifacts for one in result.runs)
    size = amount(sum(one.bytes for one in result.runs))
    left = amount(sum(one.bytes for one in result.leftovers))
    did = "Would remove" if result.dry_run else "Removed"
    sentences = []
    if artifacts or result.leftovers:
        sentences.append(
            f"{did} {counted(artifacts, 'artifact')} ({size}) of {counted(len(result.runs), 'run')}, and what "
            f"{counted(len(result.leftovers), 'failed attempt')} left behind ({left})."
        )
    if result.code:
        code = amount(sum(one.bytes for one in result.code))
        sentences.append(
            f"{did} {counted(len(result.code), 'archive')} of code ({code}) that no run to keep refers to."
        )
    is_something = bool(sentences)
    if not is_something:
        sentences.append("There is nothing to remove.")
    for id, names in result.waits_for.items():
        runs = ", ".join(f"'{name}'" for name in names)
        sentences.append(
            f"The files of the entry {id} stay until the runs in progress have ended that may still read them ({runs}): run "
            "`zenml prune --yes` then."
        )
    if result.dry_run and is_something:
        sentences.append("Nothing was changed: give --yes to do it.")
    if result.entry is not None:
        sentences.append(f"`zenml prune undo {result.entry.id[:8]}` brings it back.")
    return sentences


def _document(result: Pruning) -> dict[str, Any]:
    return {
        "dry_run": result.dry_run,
        "artifacts": sum(one.artifacts for one in result.runs),
        "bytes": sum(one.bytes for each in (result.runs, result.leftovers, result.code) for one in each),
        "runs": [
            {
                "pipeline": one.run.pipeline,
                "name": one.run.name,
                "status": one.run.status.value,
                "ended": moment(one.run.ended),
                "artifacts": one.artifacts,
                "bytes": one.bytes,
            }
            for one in result.runs
        ],
        "leftovers": [
            {"folder": one.folder, "files": one.files, "bytes": one.bytes} for one in result.leftovers
        ],
        "code": [{"path": one.path, "bytes": one.bytes} for one in result.code],
        "entry": None if result.entry is None else _entry_document(result.entry),
        "waits_for": dict(result.waits_for),
    }


def _entry_document(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "removed_by": entry.kind,
        "state": entry.state,
        "since": moment(entry.created),
        "files": entry.files,
        "bytes": entry.bytes,
        "runs": list(entry.uuids or ()),
    }
