"""Secrets in HashiCorp Vault or OpenBao."""

from zenml.integrations.vault.secrets_managers.vault_secrets_manager import VaultSecretsManager

__all__ = ["VaultSecretsManager"]
