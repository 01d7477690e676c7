"""The artifact store."""

from zenml.integrations.azure.artifact_stores.azure_artifact_store import AzureArtifactStore

__all__ = ["AzureArtifactStore"]
