"""The artifact store for whatever fsspec knows."""

from __future__ import annotations

import re
from typing import ClassVar

from zenml.artifact_stores.remote_artifact_store import RemoteArtifactStore
from zenml.exceptions import ArtifactStoreInterfaceError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class FsspecArtifactStore(RemoteArtifactStore):
    """Keeps files at any URL that fsspec knows, such as "sftp://host/folder" or "hdfs://namenode/folder".

    The package that fsspec needs for the scheme is installed by you. What it needs to know stands in `options`.
    """

    FLAVOR: ClassVar[str] = "fsspec"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {""}

    @classmethod
    def usable_path(cls, path: str) -> str:
        """The URL without slashes at its end. Raises ArtifactStoreInterfaceError if it has no scheme."""
        if not (scheme := _SCHEME.match(path)):
            raise ArtifactStoreInterfaceError(
                f"The path {path!r} has no scheme: an artifact store of the flavor 'fsspec' needs a URL, as in 'sftp://host/folder'. "
                "For a folder of this machine, take the flavor 'local'."
            )
        return path if path == scheme[0] else path.rstrip("/")
