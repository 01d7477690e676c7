"""The artifact store."""

from zenml.integrations.s3.artifact_stores.s3_artifact_store import S3ArtifactStore

__all__ = ["S3ArtifactStore"]
