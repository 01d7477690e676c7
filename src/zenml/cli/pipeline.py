"""`zenml pipeline`: run pipelines, and see what ran."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zenml.cli.groups import INTERRUPTED, LazyGroup, entry
from zenml.cli.session import Session, active_metadata_store
from zenml.cli.tables import Table, moment
from zenml.cli.terminal import Terminal, output_option, pass_terminal

if TYPE_CHECKING:
    from collections.abc import Callable

    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.runs import PipelineRecord

F = TypeVar("F", bound="Callable[..., Any]")

_ENTRIES = {
    "run": entry("Commands", "zenml.cli.pipeline:run", "Run a pipeline on the active stack."),
    "list": entry("Commands", "zenml.cli.pipeline:list_", "List the pipelines that have run."),
    "runs": entry("Commands", "zenml.cli.runs:runs", "See the runs of pipelines, and go on from them."),
    "plan": entry("Commands", "zenml.cli.plan:plan", "Show what a run would do, without running anything."),
    "why": entry("Commands", "zenml.cli.why:why", "Say why the steps of a run were executed or cached."),
}


@click.group(cls=LazyGroup, entries=_ENTRIES)
def pipeline() -> None:
    """Run pipelines, and see what ran.

    Pipelines are known to the metadata store that they ran with: that of the active stack.
    """


def file_options(command: F) -> F:
    """The arguments of commands about the pipeline of a file: `file`, `config` and `name`."""
    for decorate in (
        click.option(
            "--name",
            help="The pipeline in PYTHON_FILE, where there are several and the configuration names none.",
        ),
        click.option(
            "-c",
            "--config",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="YAML file: name of the pipeline; steps with their source, parameters and materializers.",
        ),
        click.argument(
            "file", metavar="PYTHON_FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path)
        ),
    ):
        command = decorate(command)
    return command


@click.command()
@file_options
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
        ctx.exit(INTERRUPTED if error.cancelled else 1)


@click.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List the pipelines that have run."""
    store = active_metadata_store(terminal)
    documents = [_pipeline_document(store, record) for record in store.pipelines()]
    table = Table(
        ("NAME", "RUNS", "LAST RUN", "STATUS", "STARTED"),
        [
            [document[key] for key in ("name", "runs", "last_run", "status", "started")]
            for document in documents
        ],
    )
    terminal.show(documents, table if documents else None, "No pipelines have run on the active stack.")


def _pipeline_document(store: BaseMetadataStore, record: PipelineRecord) -> dict[str, Any]:
    last = next(iter(store.runs(record.id, limit=1, newest_first=True)), None)
    return {
        "name": record.name,
        "runs": store.count_runs(record.id),
        "last_run": last and last.name,
        "status": last and last.status.value,
        "started": last and moment(last.created),
    }
