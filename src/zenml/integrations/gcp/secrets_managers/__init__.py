"""Secrets in Google Cloud's Secret Manager."""

from zenml.integrations.gcp.secrets_managers.gcp_secrets_manager import GCPSecretsManager

__all__ = ["GCPSecretsManager"]
