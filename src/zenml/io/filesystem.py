"""The file verbs of an artifact store, and which one serves a path."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO, Any, Protocol


class FileSystem(Protocol):
    """What an artifact store can do with the paths below its root.

    Every verb raises `FileNotFoundError` for a path that does not exist, `FileExistsError` where one is in the way,
    and `PermissionError` for a lack of rights.
    """

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        """Open a file; parent folders must exist where the store has folders."""
        ...

    def copyfile(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Copy a file."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern."""
        ...

    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        ...

    def listdir(self, path: str) -> list[str]:
        """The names in a folder."""
        ...

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; it may exist."""
        ...

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file."""
        ...

    def rename(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Move a file."""
        ...

    def rmtree(self, path: str) -> None:
        """Remove a folder with all that it holds."""
        ...

    def stat(self, path: str) -> Any:
        """Size and times: an `os.stat_result`, or a store's mapping with at least "size"."""
        ...

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        ...

    def walk(
        self, top: str, topdown: bool = True, onerror: Callable[..., None] | None = None
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        """Folders below `top`, each with the names of its folders and files."""
        ...


_mounted: ContextVar[tuple[tuple[str, FileSystem], ...]] = ContextVar("zenml_file_systems", default=())


@contextmanager
def mounted(root: str, file_system: FileSystem) -> Iterator[None]:
    """Let `file_system` serve every path at or below `root`, in this context alone."""
    token = _mounted.set(((root.rstrip("/"), file_system), *_mounted.get()))
    try:
        yield
    finally:
        _mounted.reset(token)


def mounted_at(path: str) -> FileSystem | None:
    """The file system that was mounted for `path`, the innermost one first."""
    for root, file_system in _mounted.get():
        if path == root or path.startswith(root + "/"):
            return file_system
    return None
