"""What artifact stores have in common that are reached by a network."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, cast

from pydantic import BeforeValidator, ByteSize, model_validator

from zenml.artifact_stores.base_artifact_store import BaseArtifactStore
from zenml.enums import Reach
from zenml.exceptions import ArtifactStoreInterfaceError, SecretError
from zenml.io.read_cache import ReadCache, cache_folder
from zenml.io.remote import RemoteFiles
from zenml.io.remote_errors import Remote
from zenml.secret.known import remember
from zenml.secret.references import has_reference
from zenml.stack.checks import check_expiry
from zenml.stack.component import Public, is_secret_name

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.io.filesystem import FileSystem
    from zenml.stack import Check

PROBE = ".zenml-probe"
"""Name of the empty file at the root of a store by which a run sees that it can write there."""


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(
            f'expected a JSON object, as in \'{{"name": "value"}}\'; it cannot be parsed: {error}'
        ) from None


Arguments = Annotated[dict[str, Any], BeforeValidator(_parsed)]
"""Keyword arguments for a library, also given as JSON text. A secret among them is given by reference."""


class RemoteArtifactStore(BaseArtifactStore):
    """Keeps files where fsspec reaches them. A flavor gives `storage_options`, and what it knows about its service.

    Args:
        options: more arguments of fsspec's file system, as a mapping or as JSON text.
        cache_size: how many bytes of files that were read are kept on this machine, as "5 GiB"; 0 keeps none.
    """

    options: Arguments | None = None
    cache_size: ByteSize = ByteSize(5 << 30)

    FLAT: ClassVar[bool] = False
    """Whether the service has names with slashes instead of folders."""
    IN_PARTS: ClassVar[Mapping[str, Any]] = {}
    """Arguments of the file system's `put_file` for large files."""
    IMPOSSIBLE: ClassVar[str] = ""
    """Characters that the service, or its library, would change in a name."""

    @model_validator(mode="after")
    def _check_arguments(self) -> Self:
        for name, field in type(self).model_fields.items():
            if "dict" in str(field.annotation):
                for key in _literal_secrets(self.__dict__[name]):
                    raise ValueError(
                        f"{name} holds a secret in clear, {key!r}: register it with `zenml secret register {self.name} --{key}=...`, and "
                        f"give a reference, '{{{{{self.name}.{key}}}}}'"
                    )
        return self

    @property
    def storage_options(self) -> dict[str, Any]:
        """The keyword arguments for fsspec's file system."""
        return dict(self.options or {})

    @property
    def read_cache(self) -> ReadCache | None:
        """Where files are kept that were read."""
        if not self.cache_size or self.reach is not Reach.NETWORK:
            return None
        return _read_cache(cache_folder("artifacts"), self.cache_size)

    def read_bytes(self, path: str) -> bytes:
        """The content of a file that fits into memory: one request, where the service can."""
        return cast("RemoteFiles", self._files).read_bytes(self._inside(path))

    def prepare_pipeline_run(self) -> None:
        """See that the store can be written, before the work of hours turns out to have no place.

        Raises:
            ArtifactStoreError: it cannot; the message says what to do.
        """
        self.makedirs(self.path)
        with self.open(f"{self.path.rstrip('/')}/{PROBE}", "wb"):
            pass

    @property
    def file_system(self) -> Callable[..., Any] | None:
        """The class of fsspec's file system, where it is not the one that fsspec knows for the scheme."""
        return None

    @property
    def remote(self) -> Remote:
        """What errors say about the service."""
        return Remote(f"The artifact store '{self.name}' ({self.path})", self.path)

    def _connect(self) -> FileSystem:
        return RemoteFiles(
            self.path,
            self.storage_options,
            file_system=self.file_system,
            flat=self.FLAT,
            in_parts=self.IN_PARTS,
            remote=self.remote,
        )

    def _inside(self, path: str, *, write: bool = False) -> str:
        name = super()._inside(path, write=write)
        if write and not set(self.IMPOSSIBLE).isdisjoint(name[len(self.path) :]):
            raise ArtifactStoreInterfaceError(
                f"{name!r} cannot be written to the artifact store '{self.name}': a name there has none of the characters "
                f"{', '.join(map(repr, self.IMPOSSIBLE))}. Choose another name."
            )
        return name

    def _command(self, *fields: str) -> str:
        return f"`zenml artifact-store update {self.name} {' '.join(f'--{field}=...' for field in fields)}`"


class CloudArtifactStore(RemoteArtifactStore):
    """A store of a cloud's service: one that has buckets, and credentials in a secret.

    Args:
        authentication_secret: name of a secret of the stack's secrets manager that holds the credentials.
        endpoint_url: address of a service other than the cloud's own.
    """

    authentication_secret: Annotated[str | None, Public()] = None
    endpoint_url: str | None = None

    FLAT: ClassVar[bool] = True
    CREDENTIALS: ClassVar[tuple[str, ...]] = ()
    """The fields that hold credentials: given instead of `authentication_secret`."""

    @model_validator(mode="after")
    def _check_authentication(self) -> Self:
        given = [name for name in self.CREDENTIALS if self.__dict__[name]]
        if given and self.authentication_secret:
            raise ValueError(f"authentication_secret holds the credentials: leave out {' and '.join(given)}")
        return self

    @property
    def has_references(self) -> bool:
        """Whether any field refers to a secret or to the environment."""
        return super().has_references or self.authentication_secret is not None

    @property
    def credentials_end(self) -> float | None:
        """When the credentials expire, in seconds since the epoch, where that can be told and nobody renews them."""
        return None

    def check(self) -> Iterator[Check]:
        """What every store checks, and whether the credentials end soon."""
        yield from super().check()
        if (end := self.credentials_end) is not None:
            yield check_expiry(end)

    def _credentials(self, *keys: str) -> dict[str, str]:
        """Of the keys of `authentication_secret`, those that it has. Raises SecretError if it has none, or cannot be read."""
        if (secret := self.authentication_secret) is None:
            return {}
        lookup, found, missing = self._lookup or self._no_lookup, {}, None
        for key in keys:
            try:
                found[key] = lookup(secret, key)
            except SecretError as error:
                missing = missing or error
        if missing and not found:
            raise missing
        remember(found.values())
        return found


def _literal_secrets(value: Any) -> Iterator[str]:
    if isinstance(value, str):  # it has references, and was not parsed yet
        try:
            value = json.loads(value)
        except ValueError:
            return
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and is_secret_name(key) and not has_reference(item):
                yield key
            elif not isinstance(item, str):
                yield from _literal_secrets(item)


@functools.cache
def _read_cache(folder: Path, limit: int) -> ReadCache:
    return ReadCache(folder, limit)
