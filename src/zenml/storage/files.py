"""Files that several processes read and replace: locks, and writes that are whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zenml.exceptions import StoreError, UnreadableFileError
from zenml.storage.yaml import MEND, dump, line_of, load

_PATIENCE_SECONDS = 60


@contextmanager
def locked(lock: Path) -> Iterator[None]:
    """Keep other processes and threads out of what `lock` stands for; the system lets go of it when its holder dies.

    The lock is a write transaction on an empty SQLite file, which works alike on every system.

    Raises:
        StoreError: the file cannot be made, or another process has held the lock for a minute.
    """
    import sqlite3  # reading needs no lock

    make_folder(lock.parent)
    try:
        connection = sqlite3.connect(lock, timeout=_PATIENCE_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise StoreError(
            f"The lock {str(lock)!r} cannot be opened: {error}. May you write to this folder?"
        ) from None
    try:
        try:
            connection.execute("PRAGMA journal_mode=OFF")  # nothing is ever written, so nothing to undo
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise StoreError(
                f"The lock {str(lock)!r} cannot be taken: {error}. Does another process hold it, and may you write to this folder?"
            ) from None
        # On a file that it may only read, SQLite begins without a lock.
        if not os.access(lock, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise StoreError(f"The lock {str(lock)!r} cannot be taken: you may not write to it.")
        yield
    finally:
        connection.close()


def make_folder(folder: Path) -> None:
    """Make a folder and its parents; it may exist. Raises StoreError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"The folder {str(folder)!r} cannot be made: {error.strerror}.") from None


def replace(path: Path, text: str, *, mode: int = 0o666) -> None:
    """Give `path` a new content, all or nothing: a reader, and whoever comes after a crash, sees the old one or the new one.

    A new file gets the rights `mode`, less those that the process withholds; an existing one keeps its own.

    Raises:
        StoreError: the content cannot be written (no rights, no space); the file is as it was.
    """
    path = path.resolve()  # a link stays one
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    try:
        with suppress(FileNotFoundError):
            mode = path.stat().st_mode & 0o777
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        unfinished.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            unfinished.unlink()
        raise StoreError(
            f"The file {str(path)!r} cannot be written: {error.strerror}. It is left as it was."
        ) from None


def read_text(path: Path) -> str | None:
    """The text of a file, or None if there is no such file.

    Raises:
        UnreadableFileError: it holds something else; the message names path and line.
        StoreError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        before = error.object[: error.start].count(b"\n")
        raise UnreadableFileError(f"{path}, line {before + 1}: this is no UTF-8 text. {MEND}") from None
    except OSError as error:
        raise StoreError(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None


class YamlFile:
    """A YAML file that holds one mapping. `lock` is the file that serializes its writers."""

    def __init__(self, path: Path, lock: Path, *, mode: int = 0o666) -> None:
        self.path = path
        self._lock = lock
        self._mode = mode

    def read(self) -> dict[str, Any] | None:
        """The mapping, or None if there is no such file.

        Raises:
            UnreadableFileError: the file holds something else; the message names path and line.
            StoreError: it cannot be read.
        """
        text = read_text(self.path)
        if text is None:
            return None
        data = load(text, self.path)
        if not isinstance(data, dict):
            what = "it is empty" if data is None else f"it holds a {type(data).__name__}"
            raise UnreadableFileError(f"{self.path}, line 1: expected a mapping, but {what}. {MEND}")
        return data

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """The mapping, empty if there is no file, to change in place: it is written when the block ends without an exception.

        Raises:
            UnreadableFileError, StoreError: as `read` and `replace` do.
        """
        with locked(self._lock):
            data = self.read() or {}
            yield data
            replace(self.path, dump(data), mode=self._mode)

    def refuse(self, reason: str, *keys: str) -> UnreadableFileError:
        """The error for data of the file that cannot be used, for the caller to raise; `keys` lead to them."""
        return UnreadableFileError(f"{self.where(*keys)}: {reason} {MEND}")

    def where(self, *keys: str) -> str:
        """Path and line of what `keys` lead to."""
        return f"{self.path}, line {line_of(read_text(self.path) or '', *keys)}"


def _sync_folder(folder: Path) -> None:
    # The rename itself is durable when its folder is; Windows has no such call.
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
