"""Artifact stores: where the values of steps lie."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zenml.artifact_stores.base_artifact_store import BaseArtifactStore
from zenml.artifact_stores.local_artifact_store import LocalArtifactStore

if TYPE_CHECKING:
    from zenml.artifact_stores.fsspec_artifact_store import FsspecArtifactStore
    from zenml.artifact_stores.remote_artifact_store import CloudArtifactStore, RemoteArtifactStore

__all__ = [
    "BaseArtifactStore",
    "CloudArtifactStore",
    "FsspecArtifactStore",
    "LocalArtifactStore",
    "RemoteArtifactStore",
]

# They load fsspec and asyncio, which a process of a step that is near its files need not.
_REMOTE = {
    "CloudArtifactStore": "remote_artifact_store",
    "FsspecArtifactStore": "fsspec_artifact_store",
    "RemoteArtifactStore": "remote_artifact_store",
}


def __getattr__(name: str) -> Any:
    if name in _REMOTE:
        return getattr(import_module(f"zenml.artifact_stores.{_REMOTE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
