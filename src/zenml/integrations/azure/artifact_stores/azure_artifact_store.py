"""The artifact store on Azure Blob Storage."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, ClassVar
from urllib.parse import parse_qs

from zenml.artifact_stores.remote_artifact_store import CloudArtifactStore
from zenml.io.remote_errors import Remote
from zenml.stack import Secret

_KEYS = (
    "account_name",
    "account_key",
    "sas_token",
    "connection_string",
    "client_id",
    "client_secret",
    "tenant_id",
)


class AzureArtifactStore(CloudArtifactStore):
    """Keeps files in a container of Azure Blob Storage.

    Credentials are `connection_string`, or `account_name` with `account_key` or `sas_token`, or those of
    `authentication_secret` (of schema "azure"), or what Azure finds by itself for the `account_name`: the variables
    AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT_KEY ..., a managed identity, the Azure command line.
    """

    FLAVOR: ClassVar[str] = "azure"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"abfs://", "az://"}
    CREDENTIALS: ClassVar[tuple[str, ...]] = ("account_key", "sas_token", "connection_string")
    IMPOSSIBLE: ClassVar[str] = "?\\\r\n"
    IN_PARTS: ClassVar[Mapping[str, Any]] = {"max_concurrency": 4}

    account_name: str | None = None
    account_key: str | None = None
    sas_token: str | None = None
    connection_string: Annotated[str | None, Secret()] = None

    @property
    def storage_options(self) -> dict[str, Any]:
        """The keyword arguments for adlfs."""
        own = {
            "account_name": self.account_name,
            "account_key": self.account_key,
            "sas_token": self.sas_token,
            "connection_string": self.connection_string,
        }
        return {
            "anon": False,
            **self._credentials(*_KEYS),
            **{name: value for name, value in own.items() if value},
            "connection_timeout": 10,
            "read_timeout": 60,
            "use_listings_cache": False,
            "endpoint_url": self.endpoint_url,
            **super().storage_options,
        }

    @property
    def credentials_end(self) -> float | None:
        """The end of a shared access signature."""
        options = self.storage_options
        signature = (
            options.get("sas_token")
            or str(options.get("connection_string")).rpartition("SharedAccessSignature=")[2]
        )
        told = parse_qs(signature.lstrip("?").partition(";")[0]).get("se")
        if not told:
            return None
        try:
            return datetime.fromisoformat(told[0].replace("Z", "+00:00")).timestamp()
        except ValueError:
            return None

    @property
    def file_system(self) -> Callable[..., Any]:
        """That of adlfs, with less patience."""
        from zenml.integrations.azure.artifact_stores.file_system import ImpatientFileSystem

        return ImpatientFileSystem

    @property
    def remote(self) -> Remote:
        """What errors say about the service."""
        return Remote(
            f"The artifact store '{self.name}' ({self.path})",
            self.endpoint_url or "Azure Blob Storage",
            container=f"The container '{self.path.partition('://')[2].partition('/')[0]}'",
            address=f"Set it with {self._command('account_name')} or {self._command('endpoint_url')}, or by the connection string.",
            credentials=f"Give others with {self._command('connection_string')}, by --authentication_secret, or in the environment "
            "(AZURE_STORAGE_CONNECTION_STRING).",
            ends=self.credentials_end,
        )
