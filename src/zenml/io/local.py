"""Files of this machine."""

from __future__ import annotations

import errno
import glob
import io
import os
import shutil
from collections.abc import Callable, Iterator
from typing import IO, Any, cast


class LocalFiles:
    """A `zenml.io.filesystem.FileSystem` over the operating system's own files.

    A file opened with mode "w" or "wb" appears under its name when it is closed, whole: until then it has a temporary name
    beside it; if the `with` block that writes it fails, it never appears. Text is UTF-8.
    """

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        """Open a file."""
        if mode in {"w", "wt"}:
            return cast("IO[Any]", _NewText(_NewFile(name), encoding="utf-8"))
        if mode == "wb":
            return cast("IO[Any]", _NewFile(name))
        return open(name, mode, encoding=None if "b" in mode else "utf-8")

    def copyfile(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Copy a file."""
        with open(src, "rb") as source:
            if not overwrite:
                _refuse_existing(dst)
            with self.open(dst, "wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return os.path.exists(path)

    def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted; `**` matches folders in folders."""
        return sorted(glob.glob(pattern, recursive=True))

    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        return os.path.isdir(path)

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        return sorted(os.listdir(path))

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; it may exist."""
        os.makedirs(path, exist_ok=True)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        os.mkdir(path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        os.remove(path)

    def rename(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Move a file or a folder."""
        if not overwrite:
            os.stat(src)
            _refuse_existing(dst)
        os.replace(src, dst)

    def rmtree(self, path: str) -> None:
        """Remove a folder with all that it holds."""
        shutil.rmtree(path)

    def stat(self, path: str) -> os.stat_result:
        """Size and times."""
        return os.stat(path)

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        return os.stat(path).st_size

    def sizes(self, path: str) -> dict[str, int]:
        """The files below a folder, by their paths relative to it, with their sizes; empty if there is no such folder."""
        found: dict[str, int] = {}
        folders = [""]
        while folders:
            folder = folders.pop()
            try:
                entries = os.scandir(f"{path}/{folder}")
            except FileNotFoundError:
                continue
            with entries:
                for entry in entries:
                    if entry.is_dir():
                        folders.append(f"{folder}{entry.name}/")
                    else:
                        found[folder + entry.name] = entry.stat().st_size
        return found

    def walk(
        self,
        top: str,
        topdown: bool = True,
        onerror: Callable[..., None] | None = None,
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        """Folders below `top`, each with the names of its folders and files."""
        return os.walk(top, topdown, onerror)


def _refuse_existing(path: str) -> None:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "There is a file of that name; overwrite=True replaces it", path)


class _NewFile(io.BufferedWriter):
    """A file that takes its name when it is closed."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._temporary = f"{os.path.dirname(path) or '.'}/.{os.urandom(8).hex()}.tmp"
        self._discarded = False
        try:
            raw = io.FileIO(self._temporary, "x")
        except FileNotFoundError:
            raise FileNotFoundError(errno.ENOENT, "There is no folder for the file", path) from None
        super().__init__(raw)

    def close(self) -> None:
        if self.closed:
            return
        try:
            super().close()
            if not self._discarded:
                os.replace(self._temporary, self._path)
        except BaseException:
            self._discarded = True
            raise
        finally:
            if self._discarded:
                os.unlink(self._temporary)

    def discard(self) -> None:
        """Let the file vanish when it is closed."""
        self._discarded = True

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            self.discard()
        self.close()


class _NewText(io.TextIOWrapper):
    """The same, for text."""

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        if kind is not None:
            cast("_NewFile", self.buffer).discard()
        self.close()
