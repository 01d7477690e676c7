"""Secrets in Azure Key Vault."""

from zenml.integrations.azure.secrets_managers.azure_secrets_manager import AzureSecretsManager

__all__ = ["AzureSecretsManager"]
