"""The files of a stored value: compared with its manifest, and copied out of the artifact store."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.exceptions import ArtifactCorruptedError, ArtifactError, ArtifactGoneError
from zenml.model.runs import manifest_digest

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.model.runs import ArtifactRecord, FileEntry

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Fault:
    """What is wrong with a file of a stored value: it is "missing", "altered" or "unreadable"; `detail` says how."""

    path: str
    kind: str
    detail: str


def faults(record: ArtifactRecord, store: BaseArtifactStore) -> list[Fault]:
    """Everything that is wrong with the files of an artifact, after every byte of them was read."""
    found = []
    if manifest_digest(record.manifest) != record.digest:
        found.append(Fault("", "altered", "the recorded list of files does not have the recorded digest"))
    for entry in record.manifest:
        try:
            for _ in checked(record, entry, store):
                pass
        except ArtifactGoneError:
            found.append(Fault(entry.path, "missing", f"there is no such file below {record.uri}"))
        except ArtifactCorruptedError as error:
            found.append(Fault(entry.path, "altered", error.message))
        except OSError as error:
            found.append(Fault(entry.path, "unreadable", str(error)))
    return found


def checked(record: ArtifactRecord, entry: FileEntry, store: BaseArtifactStore) -> Iterator[bytes]:
    """The content of a file of an artifact, piece by piece.

    What is wrong with it is known at its end: whoever takes the pieces must be able to discard them.

    Raises:
        ArtifactGoneError: it does not exist.
        ArtifactCorruptedError: it is not what was written.
    """
    try:
        file = store.open(f"{record.uri}/{entry.path}", "rb")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise ArtifactGoneError(
            f"The artifact '{record.name}' is gone: its file {entry.path!r} does not exist below {record.uri}."
        ) from None
    digest, size = hashlib.sha256(), 0
    with file:
        while size <= entry.size and (chunk := file.read(_CHUNK)):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if size != entry.size:
        there = "more" if size > entry.size else size
        raise ArtifactCorruptedError(f"{entry.size} bytes were written, {there} are there")
    if digest.hexdigest() != entry.sha256:
        raise ArtifactCorruptedError(
            f"its SHA-256 was {entry.sha256} when it was written and is {digest.hexdigest()} now"
        )


def export_value(
    record: ArtifactRecord, store: BaseArtifactStore, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Copy the files of an artifact to the new folder `path`, verified: it appears whole, or not at all. Gives the folder.

    With `overwrite`, it takes the place of a folder that holds files of the same names and nothing else.

    Raises:
        FileExistsError: there is something at `path` that may not be replaced.
        ArtifactGoneError, ArtifactCorruptedError: the value cannot be read.
    """
    target = Path(path).expanduser().absolute()
    _refuse_others(record, target, overwrite=overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    aside = target.with_name(f"{staged.name}.old")
    try:
        for entry in record.manifest:
            _copy(record, entry, store, staged)
        if target.exists():
            target.rename(aside)
        staged.rename(target)
    except BaseException:
        if aside.exists() and not target.exists():
            aside.rename(target)
        raise
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)
    return target


def _copy(record: ArtifactRecord, entry: FileEntry, store: BaseArtifactStore, folder: Path) -> None:
    copy = folder / entry.path
    if folder not in copy.parents or ".." in copy.parts:
        raise ArtifactError(
            f"The artifact '{record.name}' names a file outside of its folder: {entry.path!r}."
        )
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with copy.open("xb") as file:
            for chunk in checked(record, entry, store):
                file.write(chunk)
    except ArtifactCorruptedError as error:
        raise ArtifactCorruptedError(
            f"The artifact '{record.name}' is corrupted: of its file {entry.path!r} below {record.uri}, {error}."
        ) from None


def _refuse_others(record: ArtifactRecord, target: Path, *, overwrite: bool) -> None:
    if not os.path.lexists(target):
        return
    if not overwrite:
        raise FileExistsError(
            f"{str(target)!r} exists already: name another folder, or give overwrite (--overwrite) to replace it."
        )
    own = {str(Path(entry.path)) for entry in record.manifest}
    if target.is_symlink() or not target.is_dir():
        raise FileExistsError(f"{str(target)!r} is no folder: it is not replaced. Name another one.")
    others = sorted(
        name
        for found in target.rglob("*")
        if (found.is_symlink() or not found.is_dir()) and (name := str(found.relative_to(target))) not in own
    )
    if others:
        raise FileExistsError(
            f"The folder {str(target)!r} holds files that are none of the artifact '{record.name}', as {others[0]!r}: "
            "it is not replaced. Name another folder."
        )
