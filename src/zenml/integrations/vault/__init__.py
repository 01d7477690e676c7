"""HashiCorp Vault and OpenBao: a secrets manager."""
