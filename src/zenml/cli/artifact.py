"""`zenml artifact`: the values that steps gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zenml.cli.groups import LazyGroup, entry
from zenml.cli.session import active_stack, find_run
from zenml.cli.tables import Table, amount, counted, moment
from zenml.cli.terminal import Terminal, limit_option, output_option, pass_terminal
from zenml.exceptions import DoesNotExistException, nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.housekeeping import RecordedArtifact

_ENTRIES = {
    "list": entry("Commands", "zenml.cli.artifact:list_", "List artifacts, the latest first."),
    "describe": entry(
        "Commands", "zenml.cli.artifact:describe", "Show an artifact, its files, and the runs that use it."
    ),
    "verify": entry("Commands", "zenml.cli.artifact:verify", "Compare files with what was written."),
    "export": entry("Commands", "zenml.cli.artifact:export", "Copy the files of an artifact."),
}


@click.group(cls=LazyGroup, entries=_ENTRIES)
def artifact() -> None:
    """See, verify and copy the values that steps gave.

    Each has a number, its ID in the metadata store of the active stack.
    """


@click.command("list")
@click.option("-p", "--pipeline", "pipeline_name", metavar="NAME", help="Only those of this pipeline.")
@click.option(
    "-r", "--run", "run_name", metavar="NAME", help="Only those that this run made or took from the cache."
)
@click.option("-s", "--step", "step_name", metavar="NAME", help="Only those of steps with this name.")
@limit_option
@output_option
@pass_terminal
def list_(
    terminal: Terminal, pipeline_name: str | None, run_name: str | None, step_name: str | None, limit: int
) -> None:
    """List artifacts, the latest first.

    RUN and STEP are those that wrote it.
    """
    stack = active_stack(terminal)
    store = stack.metadata_store
    if pipeline_name is not None and store.pipeline(pipeline_name) is None:
        known = [known.name for known in store.pipelines()]
        raise DoesNotExistException(
            f"The pipeline '{pipeline_name}' has no runs on the active stack.{nearest(pipeline_name, known)}"
        )
    found = store.recorded_artifacts(
        pipeline=pipeline_name,
        run_id=None if run_name is None else find_run(stack, run_name).id,
        step=step_name,
        limit=limit,
    )
    documents = [_document(one) for one in found]
    table = Table(
        ("ID", "NAME", "TYPE", "SIZE", "RUN", "STEP", "CREATED"),
        [
            (
                one.artifact.id,
                one.artifact.name,
                one.artifact.data_type.rpartition(".")[2],
                amount(one.artifact.size) if one.removed is None else "removed",
                one.run,
                _label(one.step, one.map_index),
                document["created"],
            )
            for one, document in zip(found, documents, strict=True)
        ],
    )
    terminal.show(documents, table if documents else None, "There are no such artifacts on the active stack.")


@click.command("describe")
@click.argument("id", type=int)
@output_option
@pass_terminal
def describe(terminal: Terminal, id: int) -> None:
    """Show an artifact: its type, its files with their digests, what wrote it, and what uses it."""
    store = active_stack(terminal).metadata_store
    record = store.artifact(id)
    own = _recorded(store, id)
    uses = store.artifact_uses(id)
    document = {
        **_document(own),
        "artifact_type": record.artifact_type,
        "materializer": record.materializer,
        "files": [{"path": f.path, "size": f.size, "sha256": f.sha256} for f in record.manifest],
        "used_by": [
            {"run": use.run, "step": _label(use.step, use.map_index), "as": use.kind, "name": use.name}
            for use in uses
        ],
    }
    rows: list[tuple[str, object]] = [
        (name.replace("_", " "), value) for name, value in document.items() if not isinstance(value, list)
    ]
    rows += [("file", f"{f.path} ({amount(f.size)}, SHA-256 {f.sha256})") for f in record.manifest]
    rows += [(use.kind, f"{use.name} of {_label(use.step, use.map_index)} in {use.run}") for use in uses]
    terminal.show(document, Table(("PROPERTY", "VALUE"), rows, title=f"Artifact {id}"))


@click.command("verify")
@click.argument("ids", type=int, nargs=-1, metavar="[ID]...")
@click.option(
    "-r", "--run", "run_name", metavar="NAME", help="All that this run made or took from the cache."
)
@click.option("--all", "everything", is_flag=True, help="All in the artifact store of the active stack.")
@output_option
@pass_terminal
@click.pass_context
def verify(
    ctx: click.Context, terminal: Terminal, ids: tuple[int, ...], run_name: str | None, everything: bool
) -> None:
    """Read every file of artifacts, and compare it with the digest of what was written.

    The exit code is 1 if anything is missing or altered. Artifacts that were removed by `zenml prune` are no fault unless they are named.
    """
    if (bool(ids), run_name is not None, everything).count(True) != 1:
        raise click.UsageError("Give IDs, or --run NAME, or --all.")
    stack = active_stack(terminal)
    store = stack.metadata_store
    if ids:
        named = dict.fromkeys(ids)
        found: Iterable[RecordedArtifact] = [_recorded(store, id) for id in named]
    else:
        found = store.recorded_artifacts(run_id=None if run_name is None else find_run(stack, run_name).id)
    documents, elsewhere, removed = [], 0, 0
    for one in found:
        if one.removed is not None and not ids:
            removed += 1
        elif one.artifact.store != stack.artifact_store.path and not ids:
            elsewhere += 1
        else:
            documents.append(_verified(one, stack.artifact_store))
    wrong = [document for document in documents if document["faults"]]
    table = Table(
        ("ID", "NAME", "FAULT", "FILE", "DETAIL"),
        [
            (document["id"], document["name"], fault["fault"], fault["path"], fault["detail"])
            for document in wrong
            for fault in document["faults"]
        ],
    )
    terminal.show(
        documents,
        table if wrong else None,
        f"Verified {counted(len(documents), 'artifact')}: all files are what was written.",
    )
    if wrong:
        terminal.warn(f"Of {counted(len(documents), 'artifact')}, {len(wrong)} cannot be read as written.")
    if removed:
        terminal.warn(f"Left out: {counted(removed, 'artifact')} removed by `zenml prune`.")
    if elsewhere:
        terminal.warn(
            f"Left out: {counted(elsewhere, 'artifact')} in other artifact stores than that of the active stack."
        )
    ctx.exit(1 if wrong else 0)


@click.command("export")
@click.argument("id", type=int)
@click.option("--to", "path", required=True, metavar="FOLDER", help="The folder to make.")
@click.option(
    "--overwrite", is_flag=True, help="Replace a folder that holds files of the same names and nothing else."
)
@pass_terminal
def export(terminal: Terminal, id: int, path: str, overwrite: bool) -> None:
    """Copy the files of an artifact to a new folder, verified: whole, or not at all."""
    from zenml.post_execution import artifact_view

    stack = active_stack(terminal)
    view = artifact_view(stack.metadata_store, stack.artifact_store, id)
    folder = view.export(path, overwrite=overwrite)
    terminal.say(f"Copied artifact {id}, '{view.name}' ({amount(view.size)}), to {str(folder)!r}.")


def _recorded(store: BaseMetadataStore, id: int) -> RecordedArtifact:
    producer = store.step(store.artifact(id).producer)
    made = store.recorded_artifacts(run_id=producer.run_id, step=producer.name)
    return next(one for one in made if one.artifact.id == id)


def _verified(one: RecordedArtifact, store: BaseArtifactStore) -> dict[str, Any]:
    from zenml.post_execution.content import faults

    found = [
        {"path": fault.path, "fault": fault.kind, "detail": fault.detail}
        for fault in faults(one.artifact, store)
    ]
    return {
        "id": one.artifact.id,
        "name": one.artifact.name,
        "run": one.run,
        "step": _label(one.step, one.map_index),
        "digest": one.artifact.digest,
        "faults": found,
    }


def _document(one: RecordedArtifact) -> dict[str, Any]:
    return {
        "id": one.artifact.id,
        "name": one.artifact.name,
        "data_type": one.artifact.data_type,
        "size": one.artifact.size,
        "pipeline": one.pipeline,
        "run": one.run,
        "step": _label(one.step, one.map_index),
        "created": None if one.created is None else moment(one.created),
        "removed": None if one.removed is None else moment(one.removed),
        "digest": one.artifact.digest,
        "uri": one.artifact.uri,
    }


def _label(step: str, map_index: int) -> str:
    return step if map_index < 0 else f"{step}[{map_index}]"
