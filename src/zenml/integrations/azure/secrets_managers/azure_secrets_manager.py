"""Secrets in Azure Key Vault."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.identity import DefaultAzureCredential
from azure.keyvault.secrets import SecretClient
from pydantic import field_validator

from zenml.secret.registry import restore_secret
from zenml.secrets_managers.remote_secrets_manager import ATTEMPTS, RemoteSecretsManager, digest, readable

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretProperties

    from zenml.secret import BaseSecretSchema

_VAULT = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,22}[A-Za-z0-9]")
_FORBIDDEN = 403

_PREFIX = "zenml-prefix"
_NAME = "zenml-name"
_LIFE = "zenml-life"
_IS_HEAD = "zenml-head"

_WAITS = (0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8)
"""Together 25 seconds: what deleting and recovering takes the service, and more."""


class AzureSecretsManager(RemoteSecretsManager):
    """Keeps secrets in the Azure Key Vault `key_vault_name`, each key as a secret of the vault, and one more for the schema.

    A vault cannot tell whether a secret has changed since it was read: so two who write different keys at once do not meet. Credentials
    come from the default chain of Azure's tools. `vault_url` is the vault's address where it is not in the global cloud.
    """

    FLAVOR: ClassVar[str] = "azure_key_vault"

    key_vault_name: str
    vault_url: str = ""

    @field_validator("key_vault_name")
    @classmethod
    def _check_vault(cls, value: str) -> str:
        if not _VAULT.fullmatch(value):
            raise ValueError(
                f"{value!r} is no name of a vault: expected 3 to 24 letters, digits and hyphens, a letter first"
            )
        return value

    @field_validator("vault_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if value and not value.startswith("https://"):
            raise ValueError(f"{value!r} is no address: expected one as https://my-vault.vault.azure.cn")
        return value.rstrip("/")

    @property
    def _place(self) -> str:
        return f"'{self.prefix}-*' of the key vault at {self._url}"

    @property
    def _url(self) -> str:
        return self.vault_url or f"https://{self.key_vault_name}.vault.azure.net"

    def _connected(self) -> SecretClient:
        bounds: dict[str, Any] = {
            "connection_timeout": self.timeout,
            "read_timeout": self.timeout,
            "retry_total": ATTEMPTS - 1,
            "retry_backoff_factor": 0.2,
        }
        return SecretClient(self._url, DefaultAzureCredential(**bounds), **bounds)

    def register_secret(self, secret: BaseSecretSchema) -> None:
        """Keep a new secret. Raises SecretExistsError if its name is taken."""
        with self._told():
            if self._head(secret.name) is not None:
                raise self._taken(secret.name)
            # What a former secret of that name, or a registration that was ended, has left behind belongs to another life.
            life = uuid4().hex
            self._set_keys(secret, life)
            self._set_head(secret, life)

    def get_secret(self, secret_name: str) -> BaseSecretSchema:
        """The secret of that name. Raises DoesNotExistException, which names the nearest known one."""
        with self._told():
            return self._found(secret_name)[0]

    def get_all_secret_keys(self) -> list[str]:
        """The names of all secrets, sorted."""
        with self._told():
            return sorted(_tag(entry, _NAME) for entry in self._entries() if _tag(entry, _IS_HEAD))

    def update_secret(self, secret: BaseSecretSchema) -> None:
        """Set the keys of `secret` in the kept secret of its name. Raises DoesNotExistException, SecretError."""
        with self._told():
            kept, life = self._found(secret.name)
            merged = self._merged(kept, secret)
            self._set_keys(secret, life)
            if merged.TYPE != kept.TYPE:
                self._set_head(merged, life)

    def delete_secret(self, secret_name: str) -> None:
        """Remove a secret. Raises DoesNotExistException, which names the nearest known one."""
        with self._told():
            if self._head(secret_name) is None:
                raise self._missing(secret_name)
            self._remove([entry for entry in self._entries() if _tag(entry, _NAME) == secret_name])

    def delete_all_secrets(self) -> None:
        """Remove all secrets."""
        with self._told():
            self._remove(list(self._entries()))

    def _head(self, name: str) -> tuple[str, str] | None:
        """The schema and the life of the secret of that name, if it is there."""
        try:
            head = self._client.get_secret(self._id(name))
        except ResourceNotFoundError:
            return None
        return json.loads(head.value)["schema"], _tag(head.properties, _LIFE)

    def _found(self, name: str) -> tuple[BaseSecretSchema, str]:
        head = self._head(name)
        if head is None:
            raise self._missing(name)
        schema, life = head
        content = {}
        for entry in self._entries():
            if _tag(entry, _LIFE) == life and not _tag(entry, _IS_HEAD):
                pair = json.loads(self._client.get_secret(entry.name).value)
                content[pair["key"]] = pair["value"]
        return restore_secret(schema, name, content), life

    def _entries(self) -> Iterator[SecretProperties]:
        """The vault's secrets that belong to ours, of whatever name: the service lists all that it has, a page at a time."""
        for entry in self._client.list_properties_of_secrets():
            if _tag(entry, _PREFIX) == self.prefix:
                yield entry

    def _set_keys(self, secret: BaseSecretSchema, life: str) -> None:
        for key, value in secret.content.items():
            self._set(self._id(secret.name, key), {"key": key, "value": value}, secret.name, life)

    def _set_head(self, secret: BaseSecretSchema, life: str) -> None:
        self._set(self._id(secret.name), {"schema": secret.TYPE}, secret.name, life, {_IS_HEAD: "true"})

    def _set(
        self, id: str, value: dict[str, str], name: str, life: str, more: dict[str, str] | None = None
    ) -> None:
        tags = {_PREFIX: self.prefix, _NAME: name, _LIFE: life, **(more or {})}
        for seconds in (*_WAITS, None):
            try:
                self._client.set_secret(id, json.dumps(value), content_type="application/json", tags=tags)
            except ResourceExistsError:
                if seconds is None:
                    raise
            else:
                return
            # A deleted secret keeps its name until it is recovered, which in turn is refused until it is deleted in all respects.
            with suppress(ResourceNotFoundError, ResourceExistsError):
                self._client.begin_recover_deleted_secret(id)
            time.sleep(seconds)

    def _remove(self, entries: list[SecretProperties]) -> None:
        # The heads first: without it, a secret is gone.
        for entry in sorted(entries, key=lambda entry: not _tag(entry, _IS_HEAD)):
            with suppress(ResourceNotFoundError):
                self._client.begin_delete_secret(entry.name)

    def _id(self, name: str, *key: str) -> str:
        """Names in a vault have no upper and lower case, and no other signs than hyphens."""
        words = [self.prefix, *filter(None, map(readable, (name, *key))), digest(self.prefix, name, *key)]
        return "-".join(words)

    def _explained(self, error: BaseException) -> str | None:
        if isinstance(error, ClientAuthenticationError):
            return (
                "the credentials are missing, not accepted or expired. Log in with `az login`, or set AZURE_TENANT_ID, AZURE_CLIENT_ID and "
                "AZURE_CLIENT_SECRET."
            )
        if isinstance(error, HttpResponseError) and error.status_code == _FORBIDDEN:
            return "access is denied. Who uses it needs the role 'Key Vault Secrets Officer', and the vault's firewall must let it through."
        if isinstance(error, ResourceExistsError):
            return "a deleted secret of that name cannot be recovered. Recover it, or purge it."
        return None


def _tag(entry: SecretProperties, name: str) -> str:
    return (entry.tags or {}).get(name, "")
