"""fsspec's file system for Azure, less patient."""

from __future__ import annotations

from adlfs import AzureBlobFileSystem
from azure.storage.blob.aio import BlobServiceClient


class ImpatientFileSystem(AzureBlobFileSystem):  # type: ignore[misc]  # ships no types
    """Gives up after seconds; by itself, the library waits for a minute between its attempts."""

    def do_connect(self) -> None:
        """Make the client."""
        super().do_connect()
        patience = {
            "initial_backoff": 1,
            "increment_base": 2,
            "random_jitter_range": 1,
            "retry_total": 2,
            "connection_timeout": self._timeout_kwargs["connection_timeout"],
            "read_timeout": self._timeout_kwargs["read_timeout"],
        }
        if self.connection_string is not None:
            self.service_client = BlobServiceClient.from_connection_string(self.connection_string, **patience)
        else:
            self.service_client = BlobServiceClient(
                self.service_client.url, credential=self.credential or self.account_key, **patience
            )
