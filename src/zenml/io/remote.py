"""Files elsewhere, through fsspec."""

from __future__ import annotations

import errno
import glob
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast

from zenml.exceptions import ArtifactStoreInterfaceError, MissingPackageError


class RemoteFiles:
    """A `zenml.io.filesystem.FileSystem` over whatever fsspec knows.

    `url` is the root, such as "s3://bucket/prefix"; paths are URLs below it. Names are taken as they are: characters such
    as `*` and `[` mean something in `glob` alone. Whether empty folders exist is up to the remote side.

    Raises:
        ArtifactStoreInterfaceError: fsspec does not know the URL's scheme.
        MissingPackageError: it does, but the package that it needs is not installed.
    """

    def __init__(self, url: str, options: Mapping[str, Any] | None = None) -> None:
        from fsspec.core import url_to_fs

        self._url = url.rstrip("/") if not url.endswith("://") else url
        scheme = url.partition("://")[0]
        try:
            self._fs, root = url_to_fs(url, **(options or {}))
        except ImportError as error:
            raise MissingPackageError(
                f"Files at '{scheme}://' need a package that is not installed: {error}."
            ) from error
        except ValueError as error:
            if "rotocol not known" not in str(error):
                raise
            raise ArtifactStoreInterfaceError(
                f"{url!r} cannot be reached: fsspec knows no scheme '{scheme}://'. Use a scheme that it knows, register one with "
                "fsspec.register_implementation(...), or override the file operations (open, exists, ...) in the artifact store's class."
            ) from None
        self._root = str(root).rstrip("/")

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        """Open a file; text is UTF-8."""
        path = self._inner(name)
        if "r" in mode and not self._fs.isfile(path):
            if self._fs.isdir(path):
                raise IsADirectoryError(errno.EISDIR, "Is a folder", name)
            raise _missing(name)
        return cast("IO[Any]", self._fs.open(path, mode, **({} if "b" in mode else {"encoding": "utf-8"})))

    def copyfile(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Copy a file."""
        self._check_target(src, dst, overwrite=overwrite)
        source, target = self._inner(src), self._inner(dst)
        if source != target:
            self._fs.cp_file(source, target)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return bool(self._fresh().exists(self._inner(path)))

    def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted; `**` matches folders in folders."""
        return sorted(self._outer(path) for path in self._fresh().glob(self._inner(pattern)))

    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        return bool(self._fresh().isdir(self._inner(path)))

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        inner = self._inner(path)
        if self._fresh().isfile(inner):
            raise NotADirectoryError(errno.ENOTDIR, "Is a file", path)
        try:
            return sorted(found.rstrip("/").rpartition("/")[2] for found in self._fs.ls(inner, detail=False))
        except FileNotFoundError:
            raise _missing(path) from None

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; it may exist."""
        self._fs.makedirs(self._inner(path), exist_ok=True)

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        inner = self._inner(path)
        if self._fresh().exists(inner):
            raise FileExistsError(errno.EEXIST, "There is a file or folder of that name", path)
        self._fs.mkdir(inner)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._check_file(path)
        self._fs.rm_file(self._inner(path))

    def rename(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Move a file: copied, then removed where it was."""
        self._check_target(src, dst, overwrite=overwrite)
        source, target = self._inner(src), self._inner(dst)
        if source != target:
            self._fs.cp_file(source, target)
            self._fs.rm_file(source)

    def rmtree(self, path: str) -> None:
        """Remove a folder with all that it holds."""
        inner = self._inner(path)
        if not self._fresh().isdir(inner):
            raise (
                NotADirectoryError(errno.ENOTDIR, "Is a file", path)
                if self._fs.exists(inner)
                else _missing(path)
            )
        if not glob.has_magic(inner):
            self._fs.rm(inner, recursive=True)
            return
        # `rm` would take the name for a pattern.
        for folder, _, files in list(self._fs.walk(inner, topdown=False)):
            for name in files:
                self._fs.rm_file(f"{folder}/{name}")
            if self._fs.isdir(folder):
                self._fs.rmdir(folder)

    def stat(self, path: str) -> dict[str, Any]:
        """What the remote side says, with at least "name", "size" and "type"."""
        try:
            return cast("dict[str, Any]", self._fresh().info(self._inner(path)))
        except FileNotFoundError:
            raise _missing(path) from None

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        return int(self.stat(path)["size"])

    def sizes(self, path: str) -> dict[str, int]:
        """The files below a folder, by their paths relative to it, with their sizes: one listing where the remote side can."""
        inner = self._inner(path)
        found = self._fresh().find(inner, detail=True)
        return {
            name[len(inner) :].lstrip("/"): int(entry["size"])
            for name, entry in found.items()
            if name != inner
        }

    def walk(
        self,
        top: str,
        topdown: bool = True,
        onerror: Callable[..., None] | None = None,
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        """Folders below `top`, each with the names of its folders and files."""
        walk = self._fresh().walk(self._inner(top), topdown=topdown, on_error=onerror or "omit")
        for folder, folders, files in walk:
            yield self._outer(folder), folders, files

    def _fresh(self) -> Any:
        # Others write there, too: what was listed before may have changed.
        self._fs.invalidate_cache()
        return self._fs

    def _inner(self, url: str) -> str:
        return self._root + url[len(self._url) :].rstrip("/")

    def _outer(self, path: str) -> str:
        return self._url + path[len(self._root) :].rstrip("/")

    def _check_file(self, path: str) -> None:
        inner = self._inner(path)
        if not self._fresh().isfile(inner):
            raise (
                IsADirectoryError(errno.EISDIR, "Is a folder", path)
                if self._fs.isdir(inner)
                else _missing(path)
            )

    def _check_target(self, src: str, dst: str, *, overwrite: bool) -> None:
        self._check_file(src)
        inner = self._inner(dst)
        if self._fs.isdir(inner):
            raise IsADirectoryError(errno.EISDIR, "Is a folder", dst)
        if not overwrite and self._fs.exists(inner):
            raise FileExistsError(
                errno.EEXIST, "There is a file of that name; overwrite=True replaces it", dst
            )


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "There is no such file or folder", path)
