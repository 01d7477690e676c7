"""The artifact store."""

from zenml.integrations.gcp.artifact_stores.gcp_artifact_store import GCPArtifactStore

__all__ = ["GCPArtifactStore"]
