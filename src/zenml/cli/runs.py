"""`zenml pipeline runs`: see what ran."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.groups import LazyGroup, entry
from zenml.cli.session import active_metadata_store, active_run
from zenml.cli.tables import Table, moment
from zenml.cli.terminal import Terminal, limit_option, output_option, pass_terminal
from zenml.exceptions import DoesNotExistException, nearest

if TYPE_CHECKING:
    from zenml.model.runs import RunRecord
    from zenml.post_execution import PipelineRunView, StepView

_ENTRIES = {
    "list": entry("Commands", "zenml.cli.runs:list_", "List runs, the latest first."),
    "describe": entry("Commands", "zenml.cli.runs:describe", "Show a run and its steps."),
    "logs": entry("Commands", "zenml.cli.logs:logs", "Show what the steps of a run have printed."),
    "cancel": entry("Commands", "zenml.cli.rerun:cancel", "End a run, wherever it runs."),
    "resume": entry("Commands", "zenml.cli.rerun:resume", "Go on with a run that did not end well."),
    "replay": entry("Commands", "zenml.cli.rerun:replay", "Run a past run again, with changes."),
    "diff": entry("Commands", "zenml.cli.diff:diff", "Show what two runs differ in."),
    "delete": entry("Commands", "zenml.cli.deletion:delete", "Delete runs that have ended."),
    "export": entry("Commands", "zenml.cli.bundle:export", "Write a run to one file."),
    "import": entry("Commands", "zenml.cli.bundle:import_", "Record a run from such a file."),
    "graph": entry("Commands", "zenml.cli.graph:graph", "Draw the steps and artifacts of a run."),
}


@click.group(cls=LazyGroup, entries=_ENTRIES)
def runs() -> None:
    """See the runs of pipelines."""


@click.command("list")
@click.option("-p", "--pipeline", "pipeline_name", metavar="NAME", help="Only the runs of this pipeline.")
@limit_option
@output_option
@pass_terminal
def list_(terminal: Terminal, pipeline_name: str | None, limit: int) -> None:
    """List runs, the latest first."""
    store = active_metadata_store(terminal)
    record = None if pipeline_name is None else store.pipeline(pipeline_name)
    if pipeline_name is not None and record is None:
        known = [known.name for known in store.pipelines()]
        raise DoesNotExistException(
            f"The pipeline '{pipeline_name}' has no runs on the active stack.{nearest(pipeline_name, known)}"
        )
    found = store.runs(None if record is None else record.id, limit=limit, newest_first=True)
    documents = [_run_document(run) for run in found]
    table = Table(
        ("PIPELINE", "RUN", "STATUS", "STARTED", "SECONDS"),
        [
            [document[key] for key in ("pipeline", "name", "status", "started", "seconds")]
            for document in documents
        ],
    )
    terminal.show(documents, table if documents else None, "No pipelines have run on the active stack.")


@click.command("describe")
@click.argument("name", metavar="RUN_NAME")
@output_option
@pass_terminal
def describe(terminal: Terminal, name: str) -> None:
    """Show the steps of a run. What each got and gave, and why it failed or was skipped."""
    run = active_run(terminal, name)
    if terminal.output == "table":
        terminal.show(None, _table(run))
    else:
        terminal.show(_described(run), None)


def _table(run: PipelineRunView) -> Table:
    from zenml.post_execution.graph import first_line

    graph = run.graph
    parents = _parents(run)
    rows = [
        (
            step.label,
            step.status,
            None if step.seconds is None else round(step.seconds, 3),
            ", ".join(parents[step.name]),
            step.note,
        )
        for step in graph.steps
    ]
    state = f"{run.status} (its end is asked for)" if _is_ending(run) else run.status
    title = f"Run '{run.name}' of the pipeline '{run.pipeline_name}' on the stack '{run.stack_name}': {state}"
    about = []
    if (origin := _origin(run)) is not None:
        about.append(f"It is a {origin['kind']} of the run '{origin['run'] or '(deleted)'}'.")
    if run.error is not None and not any(step.error for step in graph.steps):
        about.append(first_line(run.error))
    return Table(("STEP", "STATUS", "SECONDS", "AFTER", "NOTE"), rows, title=title, caption=" ".join(about))


def _parents(run: PipelineRunView) -> dict[str, list[str]]:
    """What each step waits for, in the order of the run."""
    specs = run.deployment.steps
    position = {spec.name: index for index, spec in enumerate(specs)}
    return {spec.name: sorted(spec.upstream, key=position.__getitem__) for spec in specs}


def _is_ending(run: PipelineRunView) -> bool:
    return run.is_cancel_requested and not run.status.is_finished


def _origin(run: PipelineRunView) -> dict[str, str | None] | None:
    if run.origin_kind is None:
        return None
    try:
        name = run.origin.name if run.origin else None
    except DoesNotExistException:
        name = None
    return {"kind": run.origin_kind, "run": name}


def _run_document(run: RunRecord) -> dict[str, Any]:
    return {
        "pipeline": run.pipeline,
        "name": run.name,
        "status": run.status.value,
        "stack": run.stack,
        "started": moment(run.created),
        "seconds": None if run.ended is None else round(run.ended - run.created, 3),
    }


def _described(run: PipelineRunView) -> dict[str, Any]:
    parents = _parents(run)
    return {
        "pipeline": run.pipeline_name,
        "name": run.name,
        "status": run.status.value,
        "stack": run.stack_name,
        "started": run.start_time.isoformat(timespec="seconds"),
        "seconds": None if run.end_time is None else round(run.duration.total_seconds(), 3),
        "zenml_version": run.zenml_version,
        "git_sha": run.git_sha,
        "runtime_configuration": dict(run.runtime_configuration),
        "origin": _origin(run),
        "cancel_requested": run.is_cancel_requested,
        "error": None if run.error is None else f"{run.error.type}: {run.error.message}",
        "steps": [_step_document(step, parents[step.name]) for step in run.steps],
    }


def _step_document(step: StepView, parents: list[str]) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status.value,
        "seconds": None if step.duration is None else round(step.duration.total_seconds(), 3),
        "parents": parents,
        "parameters": dict(step.parameters),
        "inputs": {name: artifact.uri for name, artifact in step.inputs.items()},
        "outputs": {name: artifact.uri for name, artifact in step.outputs.items()},
        "error": None if step.error is None else f"{step.error.type}: {step.error.message}",
        "reason": step.reason,
        "attempts": step.attempts,
        "instances": dict(Counter(instance.status.value for instance in step.instances))
        if step.is_mapped
        else None,
    }
