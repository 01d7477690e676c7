"""`zenml schedule`: pipelines that run by themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.completion import schedule_names
from zenml.cli.groups import INTERRUPTED, LazyGroup, entry
from zenml.cli.session import Session
from zenml.cli.tables import Table, moment
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.exceptions import DoesNotExistException, ZenMLBaseException, nearest
from zenml.schedules.times import next_time

if TYPE_CHECKING:
    from types import FrameType

    from zenml.model.schedules import ScheduleRecord
    from zenml.profiles.registry import Registry

_ENTRIES = {
    name: entry("Commands", f"zenml.cli.schedule:{function}", help)
    for name, function, help in (
        ("run", "run", "Run pipelines when they are due, until Ctrl-C."),
        ("list", "list_", "List the schedules of the active profile."),
        ("describe", "describe", "Show a schedule, its next time and its last run."),
        ("pause", "pause", "Let a schedule start no runs."),
        ("resume", "resume", "Let a paused schedule start runs again."),
        ("delete", "delete", "Delete a schedule; its runs stay."),
    )
}


@click.group(cls=LazyGroup, entries=_ENTRIES)
def schedule() -> None:
    """Run pipelines at their times, and see which.

    A schedule is registered by `pipeline.run(schedule=Schedule(...))`, on the stack that is active then. Its times pass unused unless
    `zenml schedule run` goes on somewhere.
    """


_name = click.argument("name", metavar="SCHEDULE", shell_complete=schedule_names)


@click.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List the schedules of the active profile."""
    registry = Session.open(terminal).registry
    documents = [_document(terminal, registry, record) for record in registry.schedules()]
    table = Table(
        ("NAME", "PIPELINE", "STACK", "WHEN", "NEXT", "LAST", "STATUS"),
        [
            [d["name"], d["pipeline"], d["stack"], d["when"], d["next"] or _idle(d), d["last"], d["status"]]
            for d in documents
        ],
    )
    terminal.show(documents, table if documents else None, "There are no schedules in the active profile.")


@click.command("describe")
@_name
@output_option
@pass_terminal
def describe(terminal: Terminal, name: str) -> None:
    """Show a schedule, its next time and its last run."""
    registry = Session.open(terminal).registry
    record = registry.schedule(name)
    document = {
        **_document(terminal, registry, record),
        "created": _shown(record.created),
        "start": record.start and _shown(record.start),
        "end": record.end and _shown(record.end),
        "catchup": record.catchup,
        "source": record.source,
        "source_root": record.source_root,
        "directory": record.directory,
        "arguments": dict(record.arguments),
        "enable_cache": record.enable_cache,
        "runtime_configuration": dict(record.runtime_configuration),
    }
    rows = [
        (key.replace("_", " ").upper(), value) for key, value in document.items() if value not in (None, {})
    ]
    terminal.show(document, Table(("PROPERTY", "VALUE"), rows, title=f"Schedule '{name}'"))


@click.command("run")
@click.argument("names", metavar="[SCHEDULE]...", nargs=-1, shell_complete=schedule_names)
@click.option(
    "--once", is_flag=True, help="Run what is due now, then end: with exit code 1 if a run did not end well."
)
@pass_terminal
@click.pass_context
def run(ctx: click.Context, terminal: Terminal, names: tuple[str, ...], once: bool) -> None:
    """Run pipelines when they are due, until Ctrl-C: of all schedules, or of those that are named.

    Each run is a process of its own, on the stack that was active when its schedule was registered. Ctrl-C and SIGTERM cancel the runs
    under way and wait for them; asked a second time, they are killed. Several of these may share a profile: each time is run once.
    """
    import signal
    from functools import partial

    from zenml.schedules.scheduler import Scheduler, start_process

    session = Session.open(terminal)
    known = [record.name for record in session.registry.schedules()]
    if unknown := [name for name in names if name not in known]:
        raise DoesNotExistException(f"Schedule '{unknown[0]}' does not exist.{nearest(unknown[0], known)}")
    scheduler = Scheduler(session.registry, partial(start_process, session.profile.name), names=names)
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of a handler
        received.append(number)
        scheduler.stop()

    before = [(number, signal.signal(number, stop)) for number in (signal.SIGINT, signal.SIGTERM)]
    if not once:
        shown = ", ".join(f"'{name}'" for name in names or known) or "none yet"
        terminal.say(f"Running what is due, until Ctrl-C. Schedules: {shown}.")
    try:
        scheduler.run(once=once)
    finally:
        for number, handler in before:
            signal.signal(number, handler)
    if signal.SIGINT in received:
        ctx.exit(INTERRUPTED)
    # To be ended by SIGTERM is how a service ends well.
    if once and scheduler.failed:
        ctx.exit(1)


@click.command("pause")
@_name
@pass_terminal
def pause(terminal: Terminal, name: str) -> None:
    """Let a schedule start no runs. One that is under way goes on."""
    _set_paused(terminal, name, is_paused=True)
    terminal.say(f"Paused schedule '{name}'.")


@click.command("resume")
@_name
@pass_terminal
def resume(terminal: Terminal, name: str) -> None:
    """Let a paused schedule start runs again. Times that it missed are handled as after any other stop: by its `catchup`."""
    _set_paused(terminal, name, is_paused=False)
    terminal.say(f"Resumed schedule '{name}'.")


@click.command("delete")
@_name
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def delete(terminal: Terminal, name: str, yes: bool) -> None:
    """Delete a schedule. Its runs stay, and one that is under way goes on."""
    registry = Session.open(terminal).registry
    registry.schedule(name)
    if not terminal.confirm(
        f"This will delete schedule '{name}'. Are you sure you want to proceed?", yes=yes
    ):
        terminal.say("Schedule deletion canceled.")
        return
    registry.deregister_schedule(name)
    terminal.say(f"Deleted schedule '{name}'.")


def _set_paused(terminal: Terminal, name: str, *, is_paused: bool) -> None:
    registry = Session.open(terminal).registry
    registry.schedule(name)
    registry.change_schedule(name, lambda present: replace(present, is_paused=is_paused))


def _document(terminal: Terminal, registry: Registry, record: ScheduleRecord) -> dict[str, Any]:
    """What is true of a schedule now, whether or not a scheduler lives to record it."""
    last, following, status = record.last, None, None
    try:
        following = None if record.is_paused else next_time(record)
        if last is not None:
            from zenml.schedules.firings import status_of  # loads what looks at processes

            # What nobody has begun yet is still to be done, whoever claimed it.
            status = status_of(record, registry, datetime.now(timezone.utc)) or last.status
    except ZenMLBaseException as error:
        terminal.warn(str(error))
    return {
        "name": record.name,
        "pipeline": record.pipeline,
        "stack": record.stack,
        "when": record.when,
        "paused": record.is_paused,
        "next": following and _shown(following),
        "last": last and _shown(last.time),
        "last_run": last and last.run,
        "status": status and status.value,
        "error": last and last.error,
    }


def _idle(document: dict[str, Any]) -> str:
    return "paused" if document["paused"] else "ended"


def _shown(time: datetime) -> str:
    return moment(time.timestamp())
