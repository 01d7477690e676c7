"""Files elsewhere, through fsspec."""

from __future__ import annotations

import errno
import functools
import glob
import io
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Concatenate, ParamSpec, TypeVar, cast

from zenml.exceptions import ArtifactStoreDeniedError, ArtifactStoreInterfaceError, MissingPackageError
from zenml.io.remote_errors import Remote
from zenml.io.transfer import Download, Upload

_PATIENCE = 60.0
_SLOWEST = 100_000  # bytes a second

P = ParamSpec("P")
R = TypeVar("R")


def _told(verb: Callable[Concatenate[RemoteFiles, P], R]) -> Callable[Concatenate[RemoteFiles, P], R]:
    @functools.wraps(verb)
    def telling(self: RemoteFiles, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._remote.told():
            return verb(self, *args, **kwargs)

    return cast("Callable[Concatenate[RemoteFiles, P], R]", telling)


class RemoteFiles:
    """A `zenml.io.filesystem.FileSystem` over whatever fsspec knows, for any number of threads of one process.

    `url` is the root, such as "s3://bucket/prefix"; paths are URLs below it. Names are taken as they are: characters such
    as `*` and `[` mean something in `glob` alone. Whether empty folders exist is up to the remote side.

    Args:
        url: the root.
        options: arguments of fsspec's file system.
        file_system: its class; by default the one that fsspec knows for the scheme.
        flat: whether the remote side has names with slashes instead of folders, so that none is ever made.
        in_parts: arguments of the file system's `put_file`, for large files.
        remote: what errors say about the remote side.

    Raises:
        ArtifactStoreInterfaceError: fsspec does not know the URL's scheme.
        MissingPackageError: it does, but the package that it needs is not installed.
        ArtifactStoreError: so every verb, where the remote side cannot be used.
    """

    def __init__(
        self,
        url: str,
        options: Mapping[str, Any] | None = None,
        *,
        file_system: Callable[..., Any] | None = None,
        flat: bool = False,
        in_parts: Mapping[str, Any] | None = None,
        remote: Remote | None = None,
    ) -> None:
        self._url = url.rstrip("/") if not url.endswith("://") else url
        self._flat = flat
        self._in_parts = in_parts or {}
        self._remote = remote or Remote(f"What lies at {url}", url)
        with self._remote.told():
            self._fs, root = _connected(url, options or {}, file_system)
        self._root = str(root).rstrip("/")

    @_told
    def open(self, name: str, mode: str = "r") -> IO[Any]:
        """Open a file; text is UTF-8. What is written is there when the file is closed, as a whole."""
        path = self._inner(name)
        text: dict[str, Any] = {} if "b" in mode else {"encoding": "utf-8"}
        if mode in {"w", "wt", "wb"}:
            upload: Any = Upload(functools.partial(self._send, path))
            return cast("IO[Any]", io.TextIOWrapper(upload, **text) if text else upload)
        if "r" not in mode or "+" in mode:
            return cast("IO[Any]", self._fs.open(path, mode, **text))
        found = self.stat(name)
        if _is_folder(found):
            raise IsADirectoryError(errno.EISDIR, "Is a folder", name)
        if not self._fs.async_impl or found["size"] is None:
            return cast("IO[Any]", self._fs.open(path, mode, **text))
        download: Any = io.BufferedReader(
            Download(functools.partial(self._range, path), self._fs.loop, found["size"]), 1 << 20
        )
        return cast("IO[Any]", io.TextIOWrapper(download, **text) if text else download)

    @_told
    def read_bytes(self, name: str) -> bytes:
        """The content of a file that fits into memory: one request, where the remote side can."""
        try:
            return cast("bytes", self._fs.cat_file(self._inner(name)))
        except FileNotFoundError:
            raise _missing(name) from None

    @_told
    def copyfile(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Copy a file."""
        self._check_target(src, dst, overwrite=overwrite)
        source, target = self._inner(src), self._inner(dst)
        if source != target:
            self._fs.cp_file(source, target)

    @_told
    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return self._info(path) is not None

    @_told
    def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted; `**` matches folders in folders."""
        return sorted(self._outer(path) for path in self._fresh().glob(self._inner(pattern)))

    @_told
    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        return _is_folder(self._info(path))

    @_told
    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        inner = self._inner(path)
        self._check_folder(path)
        try:
            return sorted(found.rstrip("/").rpartition("/")[2] for found in self._fs.ls(inner, detail=False))
        except FileNotFoundError:
            raise _missing(path) from None

    @_told
    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; it may exist."""
        if not self._flat:
            self._fs.makedirs(self._inner(path), exist_ok=True)

    @_told
    def mkdir(self, path: str) -> None:
        """Make a folder."""
        if self._info(path) is not None:
            raise FileExistsError(errno.EEXIST, "There is a file or folder of that name", path)
        if not self._flat:
            self._fs.mkdir(self._inner(path))

    @_told
    def remove(self, path: str) -> None:
        """Remove a file."""
        self._check_file(path)
        self._fs.rm_file(self._inner(path))

    @_told
    def rename(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Move a file: copied, then removed where it was."""
        self._check_target(src, dst, overwrite=overwrite)
        source, target = self._inner(src), self._inner(dst)
        if source != target:
            self._fs.cp_file(source, target)
            self._fs.rm_file(source)

    @_told
    def rmtree(self, path: str) -> None:
        """Remove a folder with all that it holds."""
        inner = self._inner(path)
        self._check_folder(path)
        if self._flat:
            self._remove_all(path)
        elif not glob.has_magic(inner):
            self._fs.rm(inner, recursive=True)
        else:  # `rm` would take the name for a pattern
            for folder, _, files in list(self._fs.walk(inner, topdown=False)):
                for name in files:
                    self._fs.rm_file(f"{folder}/{name}")
                if self._fs.isdir(folder):
                    self._fs.rmdir(folder)

    @_told
    def stat(self, path: str) -> dict[str, Any]:
        """What the remote side says, with at least "name", "size" and "type"."""
        if (found := self._info(path)) is None:
            raise _missing(path)
        return found

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        return int(self.stat(path)["size"])

    @_told
    def sizes(self, path: str) -> dict[str, int]:
        """The files below a folder, by their paths relative to it, with their sizes: one listing where the remote side can."""
        inner = self._inner(path)
        try:
            found = self._fresh().find(inner, detail=True)
        except FileNotFoundError:  # not even a bucket
            return {}
        return {
            name[len(inner) :].lstrip("/"): int(entry["size"])
            for name, entry in found.items()
            if name != inner and entry["type"] != "directory"
        }

    def walk(
        self,
        top: str,
        topdown: bool = True,
        onerror: Callable[..., None] | None = None,
    ) -> Iterator[tuple[str, list[str], list[str]]]:
        """Folders below `top`, each with the names of its folders and files."""
        if not self.isdir(top):
            return
        with self._remote.told():
            walk = self._fresh().walk(self._inner(top), topdown=topdown, on_error=onerror or "omit")
            for folder, folders, files in walk:
                yield self._outer(folder), folders, files

    def _send(self, path: str, content: bytes | str) -> None:
        with self._remote.told():
            try:
                if isinstance(content, bytes):
                    self._wait("pipe_file", len(content), path, content)
                else:
                    self._wait("put_file", Path(content).stat().st_size, content, path, **self._in_parts)
            except FileNotFoundError as error:
                if not self._flat:
                    raise
                raise self._remote.error(error) from None

    def _wait(self, verb: str, size: int, *args: Any, **kwargs: Any) -> None:
        if not self._fs.async_impl:
            getattr(self._fs, verb)(*args, **kwargs)
            return
        # The libraries' own limits do not count while a server has yet to say that it wants the content at all.
        from fsspec.asyn import sync

        patience = _PATIENCE + size / _SLOWEST
        sync(self._fs.loop, getattr(self._fs, f"_{verb}"), *args, timeout=patience, **kwargs)

    async def _range(self, path: str, start: int, end: int) -> bytes:
        with self._remote.told():
            return cast("bytes", await self._fs._cat_file(path, start=start, end=end))  # noqa: SLF001 - what fsspec's authors implement

    def _fresh(self) -> Any:
        # Others write there, too: what was listed before may have changed.
        self._fs.invalidate_cache()
        return self._fs

    def _inner(self, url: str) -> str:
        return self._root + url[len(self._url) :].rstrip("/")

    def _outer(self, path: str) -> str:
        return self._url + path[len(self._root) :].rstrip("/")

    def _info(self, path: str) -> dict[str, Any] | None:
        # Not by fsspec's `exists`, `isdir` and `isfile`: where the remote side cannot be used, some of them say no.
        try:
            return cast("dict[str, Any]", self._fresh().info(self._inner(path)))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _remove_all(self, path: str) -> None:
        paths = [f"{self._inner(path)}/{name}" for name in self.sizes(path)]
        plain = [name for name in paths if not glob.has_magic(name)]
        if plain:
            self._fs.rm(plain)
        for name in set(paths) - set(plain):
            self._fs.rm_file(name)
        if self.sizes(path):  # a request for many files at once does not tell of one that stays
            raise ArtifactStoreDeniedError(
                f"Not everything at {path} could be removed. Is there a right to delete?"
            )

    def _check_file(self, path: str) -> None:
        if _is_folder(self.stat(path)):
            raise IsADirectoryError(errno.EISDIR, "Is a folder", path)

    def _check_folder(self, path: str) -> None:
        if not _is_folder(self.stat(path)):
            raise NotADirectoryError(errno.ENOTDIR, "Is a file", path)

    def _check_target(self, src: str, dst: str, *, overwrite: bool) -> None:
        self._check_file(src)
        found = self._info(dst)
        if _is_folder(found):
            raise IsADirectoryError(errno.EISDIR, "Is a folder", dst)
        if found is not None and not overwrite:
            raise FileExistsError(
                errno.EEXIST, "There is a file of that name; overwrite=True replaces it", dst
            )


def _is_folder(found: Mapping[str, Any] | None) -> bool:
    return found is not None and found["type"] == "directory"


def _connected(
    url: str, options: Mapping[str, Any], file_system: Callable[..., Any] | None
) -> tuple[Any, Any]:
    from fsspec.core import url_to_fs

    # One of its own: other code's instance of the same options may be used, and closed, in any way.
    options = {**options, "skip_instance_cache": True}
    if file_system is not None:
        made = file_system(**options)
        return made, made._strip_protocol(url)  # noqa: SLF001 - there is no other way
    scheme = url.partition("://")[0]
    try:
        return cast("tuple[Any, Any]", url_to_fs(url, **options))
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


def _missing(path: str) -> FileNotFoundError:
    return FileNotFoundError(errno.ENOENT, "There is no such file or folder", path)
