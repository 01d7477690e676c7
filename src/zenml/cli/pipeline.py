"""`zenml pipeline`: run pipelines, and see what ran."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.groups import Group
from zenml.cli.session import Session
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.exceptions import DoesNotExistException, nearest

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.runs import PipelineRecord, RunRecord
    from zenml.post_execution import PipelineRunView, StepView


@click.group(cls=Group)
def pipeline() -> None:
    """Run pipelines, and see what ran.

    Pipelines are known to the metadata store that they ran with: that of the active stack.
    """


@pipeline.command()
@click.argument("file", metavar="PYTHON_FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "-c",
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML file: name of the pipeline; steps with their source, parameters and materializers.",
)
@click.option(
    "--name", help="The pipeline in PYTHON_FILE, where there are several and the configuration names none."
)
@pass_terminal
@click.pass_context
def run(ctx: click.Context, terminal: Terminal, file: Path, config: Path | None, name: str | None) -> None:
    """Run a pipeline on the active stack.

    The folder of PYTHON_FILE comes first on the path. What stands below `if __name__ == "__main__":` is not run.

    \b
      name: training
      steps:
        load:
          source: {name: load_digits}
        train:
          source: {name: train_model, file: steps/train.py}
          parameters: {gamma: 0.01}
          materializers: {output: {name: ModelMaterializer}}
    """  # noqa: D301 - click's mark for lines that are not wrapped
    from zenml.cli.running import UserCodeError, run_file

    Session.open(terminal, stack=True)
    try:
        run_file(terminal, file, config, name)
    except UserCodeError as error:
        click.echo(error, err=True)
        ctx.exit(1)


@pipeline.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List the pipelines that have run."""
    store = _store(terminal)
    documents = [_pipeline_document(store, record) for record in store.pipelines()]
    table = Table(
        ("NAME", "RUNS", "LAST RUN", "STATUS", "STARTED"),
        [
            [document[key] for key in ("name", "runs", "last_run", "status", "started")]
            for document in documents
        ],
    )
    terminal.show(documents, table if documents else None, "No pipelines have run on the active stack.")


@pipeline.group(cls=Group)
def runs() -> None:
    """See the runs of pipelines."""


@runs.command("list")
@click.option("-p", "--pipeline", "pipeline_name", metavar="NAME", help="Only the runs of this pipeline.")
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="At most so many, the latest.",
)
@output_option
@pass_terminal
def list_runs(terminal: Terminal, pipeline_name: str | None, limit: int) -> None:
    """List runs, the latest first."""
    store = _store(terminal)
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


@runs.command("describe")
@click.argument("name", metavar="RUN_NAME")
@output_option
@pass_terminal
def describe_run(terminal: Terminal, name: str) -> None:
    """Show the steps of a run. What each got and gave, and why it failed or was skipped."""
    from zenml.post_execution import run_of

    stack = Session.open(terminal, stack=True).repository.active_stack
    run = run_of(stack.metadata_store, stack.artifact_store, name)
    if run is None:
        known = [known.name for known in stack.metadata_store.runs(limit=1000, newest_first=True)]
        raise DoesNotExistException(f"There is no run '{name}' on the active stack.{nearest(name, known)}")
    document = _described(run)
    rows = [
        (
            step["name"],
            step["status"],
            step["seconds"],
            ", ".join(step["parents"]),
            step["error"] or step["reason"],
        )
        for step in document["steps"]
    ]
    title = f"Run '{run.name}' of the pipeline '{run.pipeline_name}' on the stack '{run.stack_name}': {run.status}"
    terminal.show(document, Table(("STEP", "STATUS", "SECONDS", "AFTER", "NOTE"), rows, title=title))


def _store(terminal: Terminal) -> BaseMetadataStore:
    return Session.open(terminal, stack=True).repository.active_stack.metadata_store


def _pipeline_document(store: BaseMetadataStore, record: PipelineRecord) -> dict[str, Any]:
    last = next(iter(store.runs(record.id, limit=1, newest_first=True)), None)
    return {
        "name": record.name,
        "runs": store.count_runs(record.id),
        "last_run": last and last.name,
        "status": last and last.status.value,
        "started": last and _moment(last.created),
    }


def _run_document(run: RunRecord) -> dict[str, Any]:
    return {
        "pipeline": run.pipeline,
        "name": run.name,
        "status": run.status.value,
        "stack": run.stack,
        "started": _moment(run.created),
        "seconds": None if run.ended is None else round(run.ended - run.created, 3),
    }


def _described(run: PipelineRunView) -> dict[str, Any]:
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
        "steps": [_step_document(step) for step in run.steps],
    }


def _step_document(step: StepView) -> dict[str, Any]:
    return {
        "name": step.name,
        "status": step.status.value,
        "seconds": None if step.duration is None else round(step.duration.total_seconds(), 3),
        "parents": [parent.name for parent in step.parent_steps],
        "parameters": dict(step.parameters),
        "inputs": {name: artifact.uri for name, artifact in step.inputs.items()},
        "outputs": {name: artifact.uri for name, artifact in step.outputs.items()},
        "error": None if step.error is None else f"{step.error.type}: {step.error.message}",
        "reason": step.reason,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
