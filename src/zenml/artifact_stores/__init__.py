"""Artifact stores: where the values of steps lie."""

from zenml.artifact_stores.base_artifact_store import BaseArtifactStore
from zenml.artifact_stores.fsspec_artifact_store import FsspecArtifactStore
from zenml.artifact_stores.local_artifact_store import LocalArtifactStore
from zenml.artifact_stores.remote_artifact_store import CloudArtifactStore, RemoteArtifactStore

__all__ = [
    "BaseArtifactStore",
    "CloudArtifactStore",
    "FsspecArtifactStore",
    "LocalArtifactStore",
    "RemoteArtifactStore",
]
