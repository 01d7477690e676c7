"""Removing the values of runs that need not be kept, what failed attempts left behind, and whole runs."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from zenml.enums import ExecutionStatus
from zenml.exceptions import ConfigurationError, DoesNotExistException, InUseError
from zenml.model.runs import attempt_folder, code_folder
from zenml.post_execution.trash import Trash, left_behind
from zenml.post_execution.view import Stores

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.housekeeping import EndedRun
    from zenml.model.runs import RunRecord
    from zenml.post_execution.trash import Entry


@dataclass(frozen=True)
class LetGo:
    """A run that is not kept, and the number and bytes of its artifacts that no run to keep uses."""

    run: EndedRun
    artifacts: int
    bytes: int


@dataclass(frozen=True)
class Leftover:
    """What an attempt wrote and did not publish: its folder within the artifact store, the number of files, their bytes."""

    folder: str
    files: int
    bytes: int


@dataclass(frozen=True)
class UnusedCode:
    """The project's files as runs were sent with them none of which is kept: the archive's path within the artifact store, its bytes."""

    path: str
    bytes: int


@dataclass(frozen=True)
class Pruning:
    """What is (or, with `dry_run`, would be) removed.

    `entry` is where it lies in the trash. `waits_for` names, by the ids of entries, runs in progress that may still read what they
    remove: it is out of reach of every later run, and goes to the trash when those have ended.
    """

    runs: Sequence[LetGo]
    leftovers: Sequence[Leftover]
    code: Sequence[UnusedCode]
    dry_run: bool
    entry: Entry | None
    waits_for: Mapping[str, Sequence[str]]


def prune(
    metadata_store: BaseMetadataStore,
    artifact_store: BaseArtifactStore,
    *,
    older_than: timedelta | None = None,
    keep_last: int | None = None,
    failed: bool = False,
    dry_run: bool = True,
) -> Pruning:
    """Remove the values of runs that need not be kept, and what failed attempts left behind. What is recorded of the runs stays.

    A run is let go if it satisfies all conditions that are given; without one, every run is kept. A value is removed if only runs that are
    let go made or used it, and code that was sent ahead if no other run refers to it, a day later. What earlier calls could not finish is
    finished.

    Args:
        metadata_store: what it has not recorded is not touched.
        artifact_store: where the values are removed; those elsewhere stay.
        older_than: since the end of the run.
        keep_last: of each pipeline, that many runs are kept, and that many which completed.
        failed: let go only those that failed, crashed or were cancelled.
        dry_run: only tell.

    Raises:
        ConfigurationError: a condition that cannot be.
    """
    if keep_last is not None and keep_last < 0:
        raise ConfigurationError(f"keep_last is {keep_last}; expected 0 or more.")
    if older_than is not None and older_than < timedelta(0):
        raise ConfigurationError(f"older_than is {older_than}; expected no time in the future.")
    trash = Trash(Stores(metadata_store, artifact_store))
    pending = [entry for entry in trash.entries() if entry.is_open]
    if not dry_run:
        pending = [entry for entry in map(trash.advance, pending) if entry.state == "waiting"]
    selected = let_go(metadata_store.ended_runs(), older_than=older_than, keep_last=keep_last, failed=failed)
    unused = metadata_store.unused_artifacts([run.id for run in selected], artifact_store.path)
    runs = [
        LetGo(run, len(unused[run.id]), sum(artifact.size for artifact in unused[run.id]))
        for run in selected
        if run.id in unused
    ]
    leftovers = _leftovers(metadata_store, artifact_store)
    code = _unused_code(metadata_store, artifact_store, {run.id for run in selected})
    entry = None
    if not dry_run and (runs or leftovers or code):
        entry = trash.remove(
            "prune",
            [run.id for run in selected] if runs else [],
            attempts=[leftover.folder for leftover in leftovers],
            code=[archive.path for archive in code],
        )
        pending += [entry] if entry.is_open else []
    waits_for = {entry.id: names for entry in pending if (names := trash.waits_for(entry))}
    return Pruning(runs, leftovers, code, dry_run, entry, waits_for)


def let_go(
    runs: Sequence[EndedRun],
    *,
    older_than: timedelta | None = None,
    keep_last: int | None = None,
    failed: bool = False,
    now: float | None = None,
) -> list[EndedRun]:
    """Of these runs, those that `prune` does not keep. One that a run in progress goes on from is always kept."""
    if older_than is None and keep_last is None and not failed:
        return []
    kept = set() if keep_last is None else _last(runs, keep_last)
    latest = (time.time() if now is None else now) - (older_than or timedelta(0)).total_seconds()
    return [
        run
        for run in runs
        if not run.is_origin
        and run.id not in kept
        and run.ended <= latest
        and not (failed and run.status.is_successful)
    ]


def check_deletable(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, runs: Collection[RunRecord]
) -> None:
    """See that these runs can be deleted together.

    Raises:
        InUseError: one has not ended, or another run, which is to stay, goes on from it or uses its results.
        ConfigurationError: values lie in another artifact store.
    """
    for run in runs:
        if not run.status.is_finished:
            raise InUseError(
                f"The run '{run.name}' is {run.status}: it cannot be deleted. Wait for its end, or end it with "
                f"`zenml pipeline runs cancel {run.name}`."
            )
    ids = {run.id: run for run in runs}
    for heir in metadata_store.unfinished_runs():
        if heir.origin is not None and heir.origin.run_id in ids:
            raise InUseError(
                f"The run '{ids[heir.origin.run_id].name}' cannot be deleted: '{heir.name}', in progress, goes on from it."
            )
    for id, users in metadata_store.users_of_runs(ids).items():
        names = ", ".join(f"'{metadata_store.run(user).name}'" for user in sorted(users))
        raise InUseError(
            f"The run '{ids[id].name}' cannot be deleted: {names} took results of it from the cache. Delete these, too, in one command; or "
            "let `zenml prune` remove values that nothing needs, which keeps what is recorded."
        )
    if elsewhere := sorted(set(metadata_store.stores_of_runs(ids)) - {artifact_store.path}):
        raise ConfigurationError(
            f"Values of these runs lie in another artifact store, {elsewhere[0]!r}: delete them with a stack that has that one."
        )


def delete_runs(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, runs: Collection[RunRecord]
) -> Entry:
    """Delete runs: what is recorded of them, and their files; both go to the trash.

    While there are runs in progress that may have been given their results, they are only marked: the entry waits for these, and the
    next call of `prune` goes on.

    Raises what `check_deletable` raises.
    """
    check_deletable(metadata_store, artifact_store, runs)
    trash = Trash(Stores(metadata_store, artifact_store))
    return trash.remove("delete", [run.id for run in runs], uuids={run.name: run.uuid for run in runs})


def _last(runs: Sequence[EndedRun], count: int) -> set[int]:
    kept: set[int] = set()
    of_pipeline: dict[str, list[EndedRun]] = defaultdict(list)
    for run in runs:
        of_pipeline[run.pipeline].append(run)
    for found in of_pipeline.values():
        completed = [run for run in found if run.status is ExecutionStatus.COMPLETED]
        for group in (found, completed):
            kept.update(run.id for run in group[len(group) - count if count < len(group) else 0 :])
    return kept


def _leftovers(metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore) -> list[Leftover]:
    root = artifact_store.path.rstrip("/")
    found = []
    for attempt in metadata_store.unpublished_attempts():
        folder = attempt_folder(root, attempt.run_uuid, attempt.step, attempt.map_index, attempt.number)
        sizes = artifact_store.sizes(folder)
        if files := list(left_behind(sizes)):
            found.append(Leftover(folder[len(root) + 1 :], len(files), sum(sizes[file] for file in files)))
    return found


def _unused_code(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, let_go: Collection[int]
) -> list[UnusedCode]:
    folder = code_folder(artifact_store.path, metadata_store.uuid)
    # A run that is not recorded yet may have begun before midnight.
    yesterday = str(datetime.now(timezone.utc).date() - timedelta(days=1))
    listed = artifact_store.sizes(folder)
    unused = {f"{folder}/{path}": size for path, size in sorted(listed.items()) if path < yesterday}
    in_progress = [run.id for run in metadata_store.unfinished_runs()]
    for id in (*in_progress, *(run.id for run in reversed(metadata_store.ended_runs()))):
        if not unused:
            break
        if id not in let_go:
            with suppress(DoesNotExistException):  # it was deleted meanwhile
                unused.pop(json.loads(metadata_store.deployment(id)).get("code_archive"), None)
    root = artifact_store.path.rstrip("/")
    return [UnusedCode(path[len(root) + 1 :], size) for path, size in unused.items()]
