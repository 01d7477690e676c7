"""The artifact store on S3, and on whatever speaks it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, ClassVar

from zenml.artifact_stores.remote_artifact_store import Arguments, CloudArtifactStore
from zenml.io.remote_errors import Remote

_PART = 1 << 24


class S3ArtifactStore(CloudArtifactStore):
    """Keeps files in a bucket of Amazon S3, or of any server that speaks its protocol (`endpoint_url`).

    Credentials are `key` and `secret` (and `token`), or those of `authentication_secret` (of schema "aws"), or those that
    boto finds by itself: in the environment, in its files, of the machine.

    Args:
        client_kwargs: arguments of boto's client, such as region_name, verify.
        config_kwargs: arguments of botocore's Config; by default, 10 s to connect and 30 s to answer.
        s3_additional_kwargs: arguments of each request, such as ServerSideEncryption.
    """

    FLAVOR: ClassVar[str] = "s3"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"s3://"}
    CREDENTIALS: ClassVar[tuple[str, ...]] = ("key", "secret", "token")
    IN_PARTS: ClassVar[Mapping[str, Any]] = {"chunksize": _PART, "max_concurrency": 4}

    key: str | None = None
    secret: str | None = None
    token: str | None = None
    client_kwargs: Arguments | None = None
    config_kwargs: Arguments | None = None
    s3_additional_kwargs: Arguments | None = None

    @property
    def storage_options(self) -> dict[str, Any]:
        """The keyword arguments for s3fs."""
        found = self._credentials("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
        credentials = {
            "key": self.key or found.get("aws_access_key_id"),
            "secret": self.secret or found.get("aws_secret_access_key"),
            "token": self.token or found.get("aws_session_token"),
        }
        address = {"endpoint_url": self.endpoint_url} if self.endpoint_url else {}
        patience = {
            "connect_timeout": 10,
            "read_timeout": 30,
            "retries": {"mode": "standard", "total_max_attempts": 2},
        }
        return {
            **{name: value for name, value in credentials.items() if value},
            "client_kwargs": {**address, **(self.client_kwargs or {})},
            "config_kwargs": {**patience, **(self.config_kwargs or {})},
            "s3_additional_kwargs": self.s3_additional_kwargs or {},
            "use_listings_cache": False,
            # Else it asks for the size of a file before it reads it.
            "max_concurrency": 1,
            **super().storage_options,
        }

    @property
    def credentials_end(self) -> float | None:
        """What AWS_CREDENTIAL_EXPIRATION says, where the credentials are those of the environment."""
        told = os.environ.get("AWS_CREDENTIAL_EXPIRATION")
        if not told or self.key or self.authentication_secret or "AWS_ACCESS_KEY_ID" not in os.environ:
            return None
        try:
            end = datetime.fromisoformat(told.replace("Z", "+00:00"))
        except ValueError:
            return None
        return (end if end.tzinfo else end.replace(tzinfo=timezone.utc)).timestamp()

    @property
    def file_system(self) -> Callable[..., Any]:
        """That of s3fs, which repeats once what boto has repeated once."""
        from s3fs import S3FileSystem

        class FileSystem(S3FileSystem):  # type: ignore[misc]  # ships no types
            retries = 2

        return FileSystem

    @property
    def remote(self) -> Remote:
        """What errors say about the service."""
        return Remote(
            f"The artifact store '{self.name}' ({self.path})",
            (self.client_kwargs or {}).get("endpoint_url") or self.endpoint_url or "Amazon S3",
            container=f"The bucket '{self.path.removeprefix('s3://').partition('/')[0]}'",
            address=f"Set it with {self._command('endpoint_url')}.",
            credentials=f"Give others with {self._command('key', 'secret')}, by --authentication_secret, or in the environment "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY).",
            ends=self.credentials_end,
            authority='--client_kwargs=\'{"verify": "FILE"}\', or by the environment variable AWS_CA_BUNDLE',
        )
