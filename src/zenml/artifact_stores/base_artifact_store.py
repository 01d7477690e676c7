"""What an artifact store is: it keeps the files of values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, ClassVar, cast

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import ArtifactStoreInterfaceError
from zenml.io.filesystem import FileSystem
from zenml.secret.references import has_reference
from zenml.stack import StackComponent

if TYPE_CHECKING:
    from zenml.io.read_cache import ReadCache
    from zenml.stack import Check

_OF_THIS_MACHINE = ("file://", "local://")
_OF_THIS_PROCESS = ("memory://",)
_INHERITED: list[object] = []


class BaseArtifactStore(StackComponent):
    """Keeps the files of values below `path`; every operation refuses a path elsewhere.

    The file operations work for every scheme that fsspec knows, so that the smallest store says which one it is for:

        class AzureArtifactStore(BaseArtifactStore):
            FLAVOR: ClassVar[str] = "azure"
            SUPPORTED_SCHEMES: ClassVar[set[str]] = {"abfs://", "az://"}

    Fields for credentials come in by `storage_options`. A store for something else overrides the operations themselves (those of
    `zenml.io.filesystem.FileSystem`). They raise what `os` raises: FileNotFoundError, FileExistsError, IsADirectoryError,
    PermissionError, with the path.

    Raises:
        ArtifactStoreInterfaceError: the class has no SUPPORTED_SCHEMES, the path begins with none of them, or the path of an
            operation lies outside of the store.
    """

    path: str

    TYPE: ClassVar[StackComponentType] = StackComponentType.ARTIFACT_STORE
    SUPPORTED_SCHEMES: ClassVar[set[str]]

    _opened: tuple[int, FileSystem] | None = None

    def __init__(self, **fields: Any) -> None:
        if not hasattr(type(self), "SUPPORTED_SCHEMES"):
            raise ArtifactStoreInterfaceError(
                f"The artifact store class {type(self).__qualname__!r} must set the class variable SUPPORTED_SCHEMES, "
                'the beginnings of the paths that it can serve, as in `SUPPORTED_SCHEMES: ClassVar[set[str]] = {"s3://"}`.'
            )
        path = fields.get("path")
        # What a reference stands for is checked when it is known.
        if isinstance(path, (str, os.PathLike)) and not has_reference(path):
            fields["path"] = self.usable_path(os.fspath(path))
        super().__init__(**fields)

    @classmethod
    def usable_path(cls, path: str) -> str:
        """`path` as the root of a store of this class, normalized. Raises ArtifactStoreInterfaceError if it cannot be one."""
        for scheme in cls.SUPPORTED_SCHEMES:
            if path.startswith(scheme):
                return path if path == scheme else path.rstrip("/")
        schemes = ", ".join(f"'{scheme}'" for scheme in sorted(cls.SUPPORTED_SCHEMES))
        raise ArtifactStoreInterfaceError(
            f"The path {path!r} cannot be that of an artifact store of the class {cls.__name__} (flavor '{cls.FLAVOR}'), "
            f"which serves paths that begin with {schemes}."
        )

    @property
    def storage_options(self) -> dict[str, Any]:
        """The keyword arguments for fsspec's file system: credentials, endpoints."""
        return {}

    @property
    def reach(self) -> Reach:
        """From where the files can be reached: it follows from the scheme."""
        if self.path.startswith(_OF_THIS_PROCESS):
            return Reach.PROCESS
        return Reach.HOST if self.path.startswith(_OF_THIS_MACHINE) else super().reach

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        """Open a file; text is UTF-8."""
        return self._files.open(self._inside(name, write="r" not in mode or "+" in mode), mode)

    def copyfile(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Copy a file."""
        self._files.copyfile(self._inside(src), self._inside(dst, write=True), overwrite)

    def exists(self, path: str) -> bool:
        """Whether there is a file or a folder."""
        return self._files.exists(self._inside(path))

    def glob(self, pattern: str) -> list[str]:
        """The paths that match a shell pattern, sorted."""
        return self._files.glob(self._inside(pattern))

    def isdir(self, path: str) -> bool:
        """Whether there is a folder."""
        return self._files.isdir(self._inside(path))

    def listdir(self, path: str) -> list[str]:
        """The names in a folder, sorted."""
        return self._files.listdir(self._inside(path))

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; it may exist."""
        self._files.makedirs(self._inside(path, write=True))

    def mkdir(self, path: str) -> None:
        """Make a folder."""
        self._files.mkdir(self._inside(path, write=True))

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._files.remove(self._inside(path, write=True))

    def rename(self, src: str, dst: str, overwrite: bool = False) -> None:
        """Move a file."""
        self._files.rename(self._inside(src, write=True), self._inside(dst, write=True), overwrite)

    def rmtree(self, path: str) -> None:
        """Remove a folder with all that it holds."""
        self._files.rmtree(self._inside(path, write=True))

    def stat(self, path: str) -> Any:
        """Size and times: an `os.stat_result`, or a mapping with at least "size"."""
        return self._files.stat(self._inside(path))

    def size(self, path: str) -> int:
        """Size of a file in bytes."""
        found = self.stat(path)
        return int(found["size"] if isinstance(found, Mapping) else found.st_size)

    def sizes(self, path: str) -> dict[str, int]:
        """The files below a folder, by their paths relative to it, with their sizes; empty if there is no such folder."""
        top = path.rstrip("/")
        if type(self).walk is BaseArtifactStore.walk and (listing := getattr(self._files, "sizes", None)):
            return dict(listing(self._inside(top)))
        return {
            f"{folder}/{name}"[len(top) + 1 :]: self.size(f"{folder}/{name}")
            for folder, _, files in self.walk(top)
            for name in files
        }

    def walk(
        self,
        top: str,
        topdown: bool = True,
        onerror: Callable[..., None] | None = None,
    ) -> Iterable[tuple[str, list[str], list[str]]]:
        """Folders below `top`, each with the names of its folders and files."""
        return self._files.walk(self._inside(top), topdown, onerror)

    @property
    def read_cache(self) -> ReadCache | None:
        """Where files of the store are kept on this machine, if it is worth it."""
        return None

    def read_bytes(self, path: str) -> bytes:
        """The content of a file that fits into memory."""
        with self.open(path, "rb") as file:
            return cast("bytes", file.read())

    def check(self) -> Iterator[Check]:
        """Write, read, list and remove a small file, and compare the clocks."""
        from zenml.artifact_stores.checks import check_files

        yield from self._check_state()
        yield from check_files(self)

    def persist(self, path: str) -> None:
        """Called when all files of a value below the folder `path` are written, before that is recorded."""

    @property
    def _files(self) -> FileSystem:
        # A connection does not survive a fork. Its parent still uses it: to collect it would close it for both.
        if self._opened is None or self._opened[0] != os.getpid():
            _INHERITED.append(self._opened)
            self._opened = (os.getpid(), self._connect())
        return self._opened[1]

    def _connect(self) -> FileSystem:
        from zenml.io.remote import RemoteFiles

        return RemoteFiles(self.path, self.storage_options)

    def _inside(self, path: str, *, write: bool = False) -> str:
        """`path` as text, if it lies in the store. Raises ArtifactStoreInterfaceError."""
        name, root = os.fspath(path), self.path
        prefix = root if root.endswith("/") else f"{root}/"
        if (name != root and not name.startswith(prefix)) or ("/.." in name and ".." in name.split("/")):
            raise ArtifactStoreInterfaceError(
                f"{name!r} lies outside of the artifact store '{self.name}', whose files are below {root!r}."
            )
        return name

    def _resolved(self, name: str, value: Any) -> Any:
        resolved = super()._resolved(name, value)
        return self.usable_path(resolved) if name == "path" else resolved
