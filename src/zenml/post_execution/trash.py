"""The trash of an artifact store: where files lie before they are deleted for good.

Each removal is an entry, the folder `<store>/trash/<id>/`: `entry.json` says what is removed and how far that is, below `files/` lie the
files under their paths in the store, and `rows.json` holds what the metadata store had recorded of deleted runs.

What makes it safe to kill at any moment, and to run beside others: the entry is written before anything changes, and each of
its states can be entered again.

- "marking": artifacts get their mark in the metadata store, so that no run is given them for a cache key any more.
- "waiting": until the runs have ended that were in progress when the marks were there. One of them may have been promised an artifact
  before; then it has recorded that by now, and the mark is taken back. Nobody else can have.
- "deleting": the rows of runs that are to be deleted are copied into the entry, and deleted.
- "moving": files go to the trash. "done": all have.
- "restoring": the way back. "emptying": files are being deleted for good.
- "importing": files of a run are written that is not recorded yet.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from zenml.exceptions import (
    DoesNotExistException,
    DuplicateRunNameError,
    InUseError,
    StoreError,
    UnreadableFileError,
    nearest,
)
from zenml.liveness import is_dead, this_process
from zenml.model.runs import LOG_FILE, Owner

if TYPE_CHECKING:
    from zenml.post_execution.view import Stores

_VERSION = 1
_LEASE = 3600.0
"""Seconds after which an entry is taken over from a process of another machine that has written nothing into it since."""
_REVERSIBLE = ("marking", "waiting", "deleting", "moving", "done", "restoring")


@dataclass(frozen=True)
class Entry:
    """A removal. `kind` is "prune", "delete" or "import"; `created` is the moment that its artifacts are marked with, too.

    `runs` are the ids of the runs that it is about, `uuids` those of runs that are deleted (or imported), by the run's name. `attempts` are
    folders of attempts that published nothing, `code` archives of projects' files, `waits_for` the ids of runs in progress. Numbers are of
    what lies in the trash.
    """

    id: str
    kind: str
    state: str
    created: float
    metadata_store: str
    runs: tuple[int, ...] = ()
    uuids: Mapping[str, str] | None = None
    attempts: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    waits_for: tuple[int, ...] = ()
    kept: tuple[str, ...] = ()
    files: int = 0
    bytes: int = 0
    owner: Owner | None = None
    touched: float = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is something left to do."""
        return self.state != "done"


class Trash:
    """The trash of an artifact store, as far as one metadata store has put things there."""

    def __init__(self, stores: Stores) -> None:
        self._metadata = stores.metadata
        self._artifacts = stores.artifacts
        self._root = stores.artifacts.path.rstrip("/")
        self._made: set[str] = set()

    # Looking.

    def entries(self) -> list[Entry]:
        """What this metadata store has removed and not deleted for good, the oldest first. Raises UnreadableFileError."""
        try:
            names = self._artifacts.listdir(f"{self._root}/trash")
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = (self._read(name) for name in names)
        own = [e for e in found if e is not None and e.metadata_store == str(self._metadata.uuid)]
        return sorted(own, key=lambda entry: (entry.created, entry.id))

    def entry(self, id: str | None) -> Entry:
        """The entry whose id begins so, or the last one that can be brought back. Raises DoesNotExistException."""
        entries = [entry for entry in self.entries() if entry.state in _REVERSIBLE]
        found = entries[-1:] if id is None else [entry for entry in entries if id and entry.id.startswith(id)]
        if not found:
            what = "is empty" if id is None else f"has no entry '{id}'.{nearest(id, [e.id for e in entries])}"
            raise DoesNotExistException(
                f"The trash of the artifact store '{self._artifacts.name}' {what.rstrip('.')}."
            )
        if len(found) > 1:
            raise DoesNotExistException(
                f"Several entries of the trash begin with '{id}': give more of one of {', '.join(e.id for e in found)}."
            )
        return found[0]

    # Removing.

    def remove(
        self,
        kind: str,
        runs: Collection[int],
        *,
        uuids: Mapping[str, UUID] | None = None,
        attempts: Iterable[str] = (),
        code: Iterable[str] = (),
    ) -> Entry:
        """Begin a removal, and bring it as far as it gets now."""
        entry = self._new(
            kind,
            "marking",
            runs=tuple(sorted(runs)),
            uuids=_texts(uuids),
            attempts=tuple(attempts),
            code=tuple(code),
        )
        self._write(entry)
        return self.advance(entry)

    def advance(self, entry: Entry) -> Entry:
        """Bring an entry that is not done as far as it gets now. One that another process works on stays as it is."""
        if self._is_others(entry):
            return entry
        if entry.state == "restoring":
            self.restore(entry)
            return replace(entry, state="restored")
        if entry.state == "emptying":
            self._delete(entry)
            return replace(entry, state="emptied")
        if entry.state == "importing":
            self._settle_import(entry)
            return replace(entry, state="restored")
        if entry.state == "marking":
            self._metadata.set_aside(entry.runs, self._artifacts.path, entry.created)
            # Asked when all marks are there: whoever could have seen less is among them.
            waits_for = tuple(run.id for run in self._metadata.unfinished_runs()) if entry.runs else ()
            entry = self._write(replace(entry, state="waiting", waits_for=waits_for))
        if entry.state == "waiting":
            if self.waits_for(entry):
                return entry
            entry = self._confirm(entry)
        if entry.state == "deleting":
            self._delete_rows(entry)
            entry = self._write(replace(entry, state="moving"))
        if entry.state == "moving":
            self._move(entry)
            sizes = self._artifacts.sizes(self._files(entry))
            entry = self._write(replace(entry, state="done", files=len(sizes), bytes=sum(sizes.values())))
        return entry

    def waits_for(self, entry: Entry) -> list[str]:
        """The names of the runs in progress that may still read what the entry removes."""
        if entry.state != "waiting" or not entry.waits_for:
            return []
        return [run.name for run in self._metadata.unfinished_runs() if run.id in entry.waits_for]

    def _confirm(self, entry: Entry) -> Entry:
        if entry.kind == "prune":
            self._metadata.confirm_removal(entry.runs, self._artifacts.path, entry.created)
            return self._write(replace(entry, state="moving"))
        used = self._metadata.users_of_runs(entry.runs)
        # What a run to keep uses is kept, too.
        keep: set[int] = set()
        while not keep.issuperset(used):
            keep.update(used)
            used = self._metadata.users_of_runs([id for id in entry.runs if id not in keep])
        if keep:
            self._metadata.bring_back(sorted(keep), self._artifacts.path, entry.created)
            names = {str(self._metadata.run(id).uuid): self._metadata.run(id).name for id in keep}
            entry = replace(
                entry,
                runs=tuple(id for id in entry.runs if id not in keep),
                uuids={name: uuid for name, uuid in (entry.uuids or {}).items() if uuid not in names},
                kept=tuple(names.values()),
            )
        return self._write(replace(entry, state="deleting"))

    def _delete_rows(self, entry: Entry) -> None:
        rows = self._metadata.dump_runs(entry.runs)
        if any(rows.values()):  # else they were deleted before this was interrupted
            self._write_json(f"{self._folder(entry)}/rows.json", rows)
            self._metadata.delete_runs(entry.runs)

    def _move(self, entry: Entry) -> None:
        emptied: dict[str, None] = {}
        for record in self._metadata.removed_artifacts(entry.runs, self._artifacts.path, entry.created):
            for file in record.manifest:
                self._throw_away(entry, f"{record.uri}/{file.path}")
            emptied[record.uri] = None
        for folder in entry.attempts:
            for path in left_behind(self._artifacts.sizes(f"{self._root}/{folder}")):
                self._throw_away(entry, f"{self._root}/{folder}/{path}")
            emptied[f"{self._root}/{folder}"] = None
        for uuid in (entry.uuids or {}).values():
            folder = f"{self._root}/runs/{UUID(uuid)}"
            for path in self._artifacts.sizes(folder):
                self._throw_away(entry, f"{folder}/{path}")
            emptied[folder] = None
        for path in entry.code:
            self._throw_away(entry, f"{self._root}/{path}")
            emptied[f"{self._root}/{path.rpartition('/')[0]}"] = None
        self._remove_empty(emptied)

    def _throw_away(self, entry: Entry, path: str) -> None:
        self._rename(path, f"{self._files(entry)}/{path[len(self._root) + 1 :]}")

    # Bringing back, and deleting for good.

    def restore(self, entry: Entry) -> Entry:
        """Bring back what an entry has removed, files and rows, and remove the entry.

        Raises:
            InUseError: it is being deleted for good, or another process works on it.
            DuplicateRunNameError: another run has the name of a deleted one.
            DoesNotExistException: a deleted run used results of runs that were deleted since.
        """
        if entry.state not in _REVERSIBLE or self._is_others(entry):
            state = (
                "being deleted for good"
                if entry.state == "emptying"
                else "being worked on by another process"
            )
            raise InUseError(f"The entry {entry.id} of the trash cannot be brought back: it is {state}.")
        for name, uuid in (entry.uuids or {}).items():
            there = self._metadata.run_by_name(name)
            if there is not None and str(there.uuid) != uuid:
                raise DuplicateRunNameError(
                    f"The run '{name}' cannot be brought back: there is another run of that name now. Delete that one first."
                )
        # The rows first: they may be refused, and until the end they say that the files are not there.
        if (rows := self._read_json(f"{self._folder(entry)}/rows.json")) is not None:
            self._metadata.restore_runs(rows)
        entry = self._write(replace(entry, state="restoring"))
        files = self._files(entry)
        for path in self._artifacts.sizes(files):
            self._rename(f"{files}/{path}", f"{self._root}/{path}")
        self._metadata.bring_back(entry.runs, self._artifacts.path, entry.created)
        self._remove(entry)
        return entry

    def empty(self, before: float) -> list[Entry]:
        """Delete for good what was removed before that moment; gives these entries."""
        deleted = []
        for entry in self.entries():
            if entry.state in ("done", "emptying") and entry.created <= before and not self._is_others(entry):
                self._delete(self._write(replace(entry, state="emptying")))
                deleted.append(entry)
        return deleted

    # Importing.

    def importing(self, run_uuid: UUID) -> Entry:
        """Note that files of a run are being written, which is recorded when all are there."""
        return self._write(self._new("import", "importing", uuids={"": str(run_uuid)}))

    def imported(self, entry: Entry) -> None:
        """The run is recorded: its files are no longer the trash's business."""
        self._remove(entry)

    def give_up(self, entry: Entry) -> None:
        """The run is not recorded: delete what was written."""
        for uuid in (entry.uuids or {}).values():
            self._rmtree(f"{self._root}/runs/{UUID(uuid)}")
        self._remove(entry)

    def _settle_import(self, entry: Entry) -> None:
        uuids = set((entry.uuids or {}).values())
        if any(str(run.uuid) in uuids for run in self._metadata.ended_runs()):
            self._remove(entry)
        else:
            self.give_up(entry)

    # Files.

    def _new(self, kind: str, state: str, **fields: Any) -> Entry:
        return Entry(uuid4().hex, kind, state, time.time(), str(self._metadata.uuid), **fields)

    def _folder(self, entry: Entry) -> str:
        return f"{self._root}/trash/{entry.id}"

    def _files(self, entry: Entry) -> str:
        return f"{self._folder(entry)}/files"

    def _write(self, entry: Entry) -> Entry:
        entry = replace(entry, owner=this_process(), touched=time.time())
        self._artifacts.makedirs(self._folder(entry))
        self._write_json(f"{self._folder(entry)}/entry.json", {"version": _VERSION, **asdict(entry)})
        return entry

    def _write_json(self, path: str, document: Any) -> None:
        with self._artifacts.open(path, "w") as file:
            json.dump(document, file, separators=(",", ":"))

    def _read_json(self, path: str) -> Any:
        try:
            with self._artifacts.open(path) as file:
                return json.load(file)
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise UnreadableFileError(
                f"{path!r} in the trash cannot be read: {error}. Nothing was changed."
            ) from None

    def _read(self, name: str) -> Entry | None:
        path = f"{self._root}/trash/{name}/entry.json"
        document = self._read_json(path)
        if document is None:
            return None
        try:
            version = document.pop("version")
            if version > _VERSION:
                raise StoreError(f"{path!r} was written by a later version of zenml: update zenml here.")
            lists = {
                key: tuple(document.pop(key)) for key in ("runs", "attempts", "code", "waits_for", "kept")
            }
            return Entry(**{**document, **lists, "owner": Owner(**document["owner"]), "id": name})
        except (KeyError, TypeError, AttributeError) as error:
            raise UnreadableFileError(
                f"{path!r} is no entry of the trash: {error!r}. Nothing was changed."
            ) from None

    def _is_others(self, entry: Entry) -> bool:
        return (
            entry.is_open
            and entry.state != "waiting"
            and entry.owner != this_process()
            and not is_dead(entry.owner, entry.touched + _LEASE, time.time())
        )

    def _rename(self, path: str, target: str) -> None:
        parent = target.rpartition("/")[0]
        if parent not in self._made:
            self._artifacts.makedirs(parent)
            self._made.add(parent)
        try:
            self._artifacts.rename(path, target, overwrite=True)
        except FileNotFoundError:
            if self._artifacts.exists(path):
                raise
            # It was moved before this was interrupted, or somebody has deleted it.

    def _remove_empty(self, folders: Iterable[str]) -> None:
        """Remove these folders, and those of runs above them, where nothing is left in them."""
        for folder in folders:
            while not self._artifacts.sizes(folder):
                self._rmtree(folder)
                folder = folder.rpartition("/")[0]  # noqa: PLW2901 - the way up
                if not folder.startswith(f"{self._root}/runs/"):
                    break

    def _delete(self, entry: Entry) -> None:
        self._rmtree(self._files(entry))
        self._remove(entry)

    def _remove(self, entry: Entry) -> None:
        # The files are gone or back before the entry is: what is interrupted here can be done again.
        self._rmtree(self._files(entry))
        self._rmtree(self._folder(entry))

    def _rmtree(self, folder: str) -> None:
        with suppress(FileNotFoundError, NotADirectoryError):
            self._artifacts.rmtree(folder)


def left_behind(sizes: Mapping[str, int]) -> Iterator[str]:
    """Of the files in the folder of an attempt that published nothing, those that nobody needs: all but its log."""
    return (path for path in sizes if path != LOG_FILE)


def _texts(uuids: Mapping[str, UUID] | None) -> dict[str, str] | None:
    return None if uuids is None else {name: str(uuid) for name, uuid in uuids.items()}
