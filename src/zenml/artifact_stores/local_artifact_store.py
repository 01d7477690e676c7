"""The artifact store that is a folder of this machine."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, ClassVar

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

    `path` is made absolute when the store is made; `~` stands for the home folder. Symbolic links that lead out of the folder may be read through, never written through.
    """

    FLAVOR: ClassVar[str] = "local"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {""}

    _checked: str | None = None

    @classmethod
    def usable_path(cls, path: str) -> str:
        """The absolute path. Raises ArtifactStoreInterfaceError for a URL or an empty path."""
        if scheme := _URL.match(path):
            raise ArtifactStoreInterfaceError(
                f"The path {path!r} begins with '{scheme[0]}', but an artifact store of the flavor 'local' is a folder of this machine: "
                "give a plain path, or choose a flavor for that scheme (`zenml artifact-store flavor list`)."
            )
        if not path:
            raise ArtifactStoreInterfaceError("The path of an artifact store of the flavor 'local' is empty: give a folder.")
        return os.path.abspath(os.path.expanduser(path))

    @property
    def local_path(self) -> str:
        """The folder."""
        return self.path

    @property
    def reach(self) -> Reach:
        """Every process that sees the folder."""
        return Reach.HOST

    def _connect(self) -> FileSystem:
        return _FILES

    def _inside(self, path: str, *, write: bool = False) -> str:
        name = super()._inside(path, write=write)
        if write:
            # A link in the last place is replaced or removed itself, unless it is a folder.
            self._check_links(name if os.path.isdir(name) else os.path.dirname(name), name)
        return name

    def _check_links(self, folder: str, name: str) -> None:
        if folder == self._checked:
            return
        root, real = os.path.realpath(self.path), os.path.realpath(folder)
        if real != root and not real.startswith(f"{root}/") and name != self.path:
            raise ArtifactStoreInterfaceError(
                f"{name!r} leads out of the artifact store '{self.name}' by a symbolic link, to {real!r}: nothing is written there."
            )
        self._checked = folder
