"""The artifact store that is a folder of this machine."""

from __future__ import annotations

import os
import re
from pathlib import Path
from stat import S_ISLNK
from typing import TYPE_CHECKING, ClassVar, Literal

from zenml.artifact_stores.base_artifact_store import BaseArtifactStore
from zenml.enums import Reach
from zenml.exceptions import ArtifactStoreInterfaceError
from zenml.io.local import LocalFiles

if TYPE_CHECKING:
    from zenml.io.filesystem import FileSystem

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_FILES = LocalFiles()


class LocalArtifactStore(BaseArtifactStore):
    """Keeps files in a folder of this machine.

    `path` is made absolute when the store is made; `~` stands for the home folder. Symbolic links that lead out of the folder may
    be read through, never written through.
    """

    FLAVOR: ClassVar[str] = "local"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {""}

    durability: Literal["normal", "full"] = "normal"
    """What is written outlives the end of the process, however it ends ("normal"), and also a loss of power ("full")."""

    _made: str | None = None

    @classmethod
    def usable_path(cls, path: str) -> str:
        """The absolute path. Raises ArtifactStoreInterfaceError for a URL or an empty path."""
        if scheme := _URL.match(path):
            raise ArtifactStoreInterfaceError(
                f"The path {path!r} begins with '{scheme[0]}', but an artifact store of the flavor 'local' is a folder of this machine: "
                "give a plain path, or choose a flavor for that scheme (`zenml artifact-store flavor list`)."
            )
        if not path:
            raise ArtifactStoreInterfaceError(
                "The path of an artifact store of the flavor 'local' is empty: give a folder."
            )
        # The links in it stay: `resolve` would follow them.
        return os.path.abspath(Path(path).expanduser())

    @property
    def local_path(self) -> str:
        """The folder."""
        return self.path

    @property
    def reach(self) -> Reach:
        """Every process that sees the folder."""
        return Reach.HOST

    @property
    def _files(self) -> FileSystem:
        return _FILES

    def makedirs(self, path: str) -> None:
        """Make a folder and its parents; it may exist."""
        name = self._inside(path)
        missing = self._missing(name)
        try:
            for part in missing:
                os.mkdir(part)
        except OSError:  # the root is missing, too, or somebody else makes the same folders
            missing = []
        if not missing:
            os.makedirs(name, exist_ok=True)
        self._made = name if missing else None

    def persist(self, path: str) -> None:
        """Wait until the disk has the files and folders, if `durability` is "full"."""
        if self.durability != "full":
            return
        name = self._inside(path)
        for folder, _, files in os.walk(name):
            for file in files:
                _sync(f"{folder}/{file}")
            _sync(folder)
        while name != self.path:  # a folder on the way may be new
            name = os.path.dirname(name)
            _sync(name)

    def _inside(self, path: str, *, write: bool = False) -> str:
        name = super()._inside(path, write=write)
        if write:
            # The way to a folder that the last call has made needs no second look.
            made, self._made = self._made, None
            if made is None or os.path.dirname(name) != made or os.path.islink(name):
                self._missing(name)
        return name

    def _missing(self, name: str) -> list[str]:
        """What does not exist on the way from the root to `name`. Raises ArtifactStoreInterfaceError if a symbolic link leads out on it."""
        parts: list[str] = []
        end = len(self.path)
        while end < len(name):
            end = name.find("/", end + 1)
            end = len(name) if end < 0 else end
            if not parts:
                try:
                    if S_ISLNK(os.lstat(name[:end]).st_mode):
                        self._refuse_outside(name)
                        return []
                    continue
                except FileNotFoundError:
                    pass
            parts.append(name[:end])
        return parts

    def _refuse_outside(self, name: str) -> None:
        real, root = os.path.realpath(name), os.path.realpath(self.path)
        if real != root and not real.startswith(f"{root}/"):
            raise ArtifactStoreInterfaceError(
                f"{name!r} leads out of the artifact store '{self.name}' by a symbolic link, to {real!r}: nothing is written there."
            )


def _sync(name: str) -> None:
    if os.name == "nt" and os.path.isdir(name):
        return  # Windows gives no access to folders, and needs none
    descriptor = os.open(name, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
