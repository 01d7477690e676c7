"""The artifact store on Google Cloud Storage."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from zenml.artifact_stores.remote_artifact_store import CloudArtifactStore
from zenml.io.remote_errors import Remote
from zenml.secret.schemas import GCPSecretSchema


class GCPArtifactStore(CloudArtifactStore):
    """Keeps files in a bucket of Google Cloud Storage.

    Credentials are those of `authentication_secret` (of schema "gcp"), or Google's application default ones: of the variable
    GOOGLE_APPLICATION_CREDENTIALS, of gcloud, of the machine.

    Args:
        project: the project that requests are made for; by default that of the credentials.
        anonymous: whether requests go without credentials: to public buckets, and to emulators.
    """

    FLAVOR: ClassVar[str] = "gcp"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"gs://"}
    IN_PARTS: ClassVar[Mapping[str, Any]] = {"chunksize": 1 << 24}

    project: str | None = None
    anonymous: bool = False

    @property
    def storage_options(self) -> dict[str, Any]:
        """The keyword arguments for gcsfs."""
        from aiohttp import ClientTimeout  # comes with gcsfs

        token: Any = "anon" if self.anonymous else None
        if text := self._credentials("token").get("token"):
            token = GCPSecretSchema(name=str(self.authentication_secret), token=text).get_credential_dict()
        return {
            "project": self.project or "",
            "token": token or "google_default",
            "endpoint_url": self.endpoint_url,
            "requests_timeout": ClientTimeout(total=None, sock_connect=10, sock_read=60),
            "use_listings_cache": False,
            **super().storage_options,
        }

    @property
    def file_system(self) -> Callable[..., Any]:
        """That of gcsfs, with less patience."""
        from zenml.integrations.gcp.artifact_stores.file_system import ImpatientFileSystem

        # It logs each request that fails, with a traceback; what it raises is told by us.
        logging.getLogger("gcsfs").setLevel(logging.CRITICAL + 1)
        return ImpatientFileSystem

    @property
    def remote(self) -> Remote:
        """What errors say about the service."""
        return Remote(
            f"The artifact store '{self.name}' ({self.path})",
            self.endpoint_url or "Google Cloud Storage",
            container=f"The bucket '{self.path.removeprefix('gs://').partition('/')[0]}'",
            address=f"Set it with {self._command('endpoint_url')}.",
            credentials=f"Give others with {self._command('authentication_secret')}, or in the environment "
            "(GOOGLE_APPLICATION_CREDENTIALS).",
        )
