"""Secrets managers: where the secrets that components refer to are kept."""

from zenml.secrets_managers.base_secrets_manager import BaseSecretsManager
from zenml.secrets_managers.local_secrets_manager import LocalSecretsManager

__all__ = ["BaseSecretsManager", "LocalSecretsManager"]
