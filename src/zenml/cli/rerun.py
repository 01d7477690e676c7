"""`zenml pipeline runs resume|replay|cancel`: go on from a run, or end it."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.groups import INTERRUPTED
from zenml.cli.session import active_metadata_store, active_run
from zenml.cli.terminal import Terminal, pass_terminal
from zenml.exceptions import ChangedPipelineError, DoesNotExistException, RunError, nearest

if TYPE_CHECKING:
    from collections.abc import Callable

    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.runs import RunRecord
    from zenml.pipelines import BasePipeline

_POLL = 0.2
_SIGNAL_AFTER = 2.0
"""Seconds for which a run has time to see that it is asked to end, before it is interrupted."""

_accept = click.option(
    "--accept-changes", is_flag=True, help="Go on although code or parameters have changed since."
)


@click.command()
@click.argument("run_name", metavar="RUN_NAME")
@_accept
@pass_terminal
@click.pass_context
def resume(ctx: click.Context, terminal: Terminal, run_name: str, accept_changes: bool) -> None:
    """Go on with a run that has failed, crashed, or was cancelled.

    A new run takes over what is finished, and executes the rest, with the code as it is now. If that or parameters have changed, what has
    is shown, and nothing is done without --accept-changes.
    """
    pipeline = _pipeline_of(terminal, run_name)
    _run(ctx, terminal, lambda accept: pipeline.resume(run_name, accept_changes=accept), accept_changes)


@click.command()
@click.argument("run_name", metavar="RUN_NAME")
@click.option(
    "--from",
    "start",
    metavar="STEP",
    multiple=True,
    help="Execute this step again, and all that depends on it; take over the others.",
)
@click.option(
    "--param",
    "parameters",
    metavar="STEP.NAME=VALUE",
    multiple=True,
    help="Another value for a parameter, as YAML: train.rate=0.2.",
)
@_accept
@pass_terminal
@click.pass_context
def replay(
    ctx: click.Context,
    terminal: Terminal,
    *,
    run_name: str,
    start: tuple[str, ...],
    parameters: tuple[str, ...],
    accept_changes: bool,
) -> None:
    """Run a past run again, with changes.

    What the changes do not concern is taken over from the past run. Without --from and --param, every step is executed again.
    """
    values = _parameters(parameters)
    pipeline = _pipeline_of(terminal, run_name)
    _run(
        ctx,
        terminal,
        lambda accept: pipeline.replay(run_name, start=start, parameters=values, accept_changes=accept),
        accept_changes,
    )


@click.command()
@click.argument("run_name", metavar="RUN_NAME")
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    help="Seconds to wait for the run's end.",
)
@pass_terminal
def cancel(terminal: Terminal, run_name: str, wait: float) -> None:
    """End a run, wherever it runs. Its running steps are ended and recorded as cancelled.

    A run that executes its steps in its own process on this machine is interrupted as by Ctrl-C; on another machine it ends behind its
    present step.
    """
    store = active_metadata_store(terminal)
    run = store.run_by_name(run_name)
    if run is None:
        known = [known.name for known in store.runs(limit=1000, newest_first=True)]
        raise DoesNotExistException(
            f"There is no run '{run_name}' on the active stack.{nearest(run_name, known)}"
        )
    if run.status.is_finished:
        raise RunError(
            f"The run '{run_name}' is over: it {'has' if run.status != 'cancelled' else 'was'} {run.status}."
        )
    store.request_cancel(run.id)
    run = _wait(store, run, wait)
    if run.status.is_finished:
        terminal.say(f"The run `{run_name}` has ended: {run.status}.")
    else:
        raise RunError(
            f"The run '{run_name}' was asked to end, and is still {run.status} after {wait:g} seconds: it ends behind the step that it "
            "executes now. See `zenml pipeline runs describe`."
        )


def _wait(store: BaseMetadataStore, run: RunRecord, seconds: float) -> RunRecord:
    started = time.monotonic()
    interrupted = False
    while not run.status.is_finished and time.monotonic() - started < seconds:
        if not interrupted and time.monotonic() - started > _SIGNAL_AFTER:
            interrupted = True
            _interrupt(run)
        time.sleep(_POLL)
        run = store.run(run.id)
    return run


def _interrupt(run: RunRecord) -> None:
    """Interrupt the process that executes the run, if it is one of this machine."""
    from zenml.liveness import this_process

    owner, here = run.owner, this_process()
    if owner is None or not owner.is_interruptible or owner.kind != "process":
        return
    if (owner.boot_id, owner.pid_namespace) == (here.boot_id, here.pid_namespace):
        try:
            os.kill(owner.pid, signal.SIGINT)
        except (ProcessLookupError, PermissionError):
            return  # it has just ended, or is another user's: it sees the request behind its present step


def _pipeline_of(terminal: Terminal, run_name: str) -> BasePipeline:
    """The pipeline of a run, made again as it was."""
    from zenml.pipelines.origin import load_pipeline

    deployment = active_run(terminal, run_name).deployment
    return load_pipeline(deployment.source, deployment.arguments, Path(deployment.source_root))


def _run(
    ctx: click.Context, terminal: Terminal, go_on: Callable[[bool], object], accept_changes: bool
) -> None:
    from zenml.cli.running import UserCodeError, shown

    try:
        try:
            with shown(terminal):
                go_on(accept_changes)
        except ChangedPipelineError as error:
            if not terminal.is_interactive:
                raise
            click.echo(str(error).rpartition("\n")[0], err=True)
            if not click.confirm("Go on, and execute again what that concerns?"):
                ctx.exit(1)
            with shown(terminal):
                go_on(True)
    except UserCodeError as error:
        click.echo(error, err=True)
        ctx.exit(INTERRUPTED if error.cancelled else 1)


def _parameters(given: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    from zenml.storage.yaml import load

    values: dict[str, dict[str, Any]] = {}
    for one in given:
        where, equals, text = one.partition("=")
        step, dot, name = where.rpartition(".")
        if not (equals and dot and step and name):
            raise click.UsageError(f"--param is {one!r}, expected STEP.NAME=VALUE, as in train.rate=0.2.")
        values.setdefault(step, {})[name] = load(text, Path("--param"))
    return values
