"""fsspec's file system for Azure, less patient."""

from __future__ import annotations

from typing import Any

from adlfs import AzureBlobFileSystem
from azure.storage.blob.aio import BlobServiceClient


class ImpatientFileSystem(AzureBlobFileSystem):  # type: ignore[misc]  # ships no types
    """Gives up after seconds, where the library waits for a minute between its attempts; and may be elsewhere than in Azure."""

    def __init__(self, *args: Any, endpoint_url: str | None = None, **kwargs: Any) -> None:
        self._endpoint_url = endpoint_url
        super().__init__(*args, **kwargs)

    def do_connect(self) -> None:
        """Make the client."""
        super().do_connect()
        patience = {
            "initial_backoff": 1,
            "increment_base": 1,
            "random_jitter_range": 1,
            "retry_total": 2,
            "connection_timeout": self._timeout_kwargs["connection_timeout"],
            "read_timeout": self._timeout_kwargs["read_timeout"],
        }
        if self.connection_string is not None:
            self.service_client = BlobServiceClient.from_connection_string(self.connection_string, **patience)
            return
        url = self.service_client.url
        if self._endpoint_url:
            url = self._endpoint_url + (self.sas_token or "")
        key = {"account_name": self.account_name, "account_key": self.account_key}
        credential = self.credential or (key if self.account_key else None)
        self.service_client = BlobServiceClient(url, credential=credential, **patience)
