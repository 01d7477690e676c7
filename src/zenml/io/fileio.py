"""File access for materializers and steps: the same functions wherever the path lies.

A path is served by the artifact store that is mounted for it (the running step's one); else it is a file of this machine, or
fsspec serves it by its scheme.
Functions raise what `os` raises: `FileNotFoundError`, `FileExistsError`, `PermissionError` ..., with the path.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from typing import IO, Any

from zenml.io.filesystem import FileSystem, mounted_at
from zenml.io.local import LocalFiles

__all__ = [
    "copy",
    "exists",
    "glob",
    "isdir",
    "listdir",
    "makedirs",
    "mkdir",
    "open",
    "remove",
    "rename",
    "rmtree",
    "stat",
    "walk",
]

Path = str | os.PathLike[str]


def open(path: Path, mode: str = "r") -> IO[Any]:
    """Open a file; text is UTF-8."""
    name, files = _served(path)
    return files.open(name, mode)


def copy(src: Path, dst: Path, overwrite: bool = False) -> None:
    """Copy a file, also from one file system to another. Raises FileExistsError unless it may overwrite."""
    (source, files), (target, others) = _served(src), _served(dst)
    if files is others:
        files.copyfile(source, target, overwrite)
        return
    if not overwrite and others.exists(target):
        raise FileExistsError(f"There is a file {target!r}; overwrite=True replaces it.")
    with files.open(source, "rb") as reader, others.open(target, "wb") as writer:
        shutil.copyfileobj(reader, writer, 1 << 20)


def exists(path: Path) -> bool:
    """Whether there is a file or a folder."""
    name, files = _served(path)
    return files.exists(name)


def glob(pattern: Path) -> list[str]:
    """The paths that match a shell pattern, sorted; `**` matches folders in folders."""
    name, files = _served(pattern)
    return files.glob(name)


def isdir(path: Path) -> bool:
    """Whether there is a folder."""
    name, files = _served(path)
    return files.isdir(name)


def listdir(path: Path) -> list[str]:
    """The names in a folder."""
    name, files = _served(path)
    return files.listdir(name)


def makedirs(path: Path) -> None:
    """Make a folder and its parents; it may exist."""
    name, files = _served(path)
    files.makedirs(name)


def mkdir(path: Path) -> None:
    """Make a folder."""
    name, files = _served(path)
    files.mkdir(name)


def remove(path: Path) -> None:
    """Remove a file."""
    name, files = _served(path)
    files.remove(name)


def rename(src: Path, dst: Path, overwrite: bool = False) -> None:
    """Move a file, also from one file system to another. Raises FileExistsError unless it may overwrite."""
    (source, files), (target, others) = _served(src), _served(dst)
    if files is others:
        files.rename(source, target, overwrite)
    else:
        copy(src, dst, overwrite)
        files.remove(source)


def rmtree(path: Path) -> None:
    """Remove a folder with all that it holds."""
    name, files = _served(path)
    files.rmtree(name)


def stat(path: Path) -> Any:
    """Size and times: an `os.stat_result`, or a store's mapping with at least "size"."""
    name, files = _served(path)
    return files.stat(name)


def walk(
    top: Path,
    topdown: bool = True,
    onerror: Callable[..., None] | None = None,
) -> Iterable[tuple[str, list[str], list[str]]]:
    """Folders below `top`, each with the names of its folders and files."""
    name, files = _served(top)
    return files.walk(name, topdown, onerror)


_LOCAL = LocalFiles()


def _served(path: Path) -> tuple[str, FileSystem]:
    name = os.fspath(path)
    if (mounted := mounted_at(name)) is not None:
        return name, mounted
    scheme, separator, rest = name.partition("://")
    if not separator:
        return name, _LOCAL
    from zenml.io.remote import RemoteFiles

    return name, RemoteFiles(f"{scheme}://{rest.partition('/')[0]}")
