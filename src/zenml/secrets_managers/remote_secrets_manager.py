"""What the secrets managers have in common that keep secrets in a service."""

from __future__ import annotations

import hashlib
import os
import random
import re
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr, field_validator

from zenml.exceptions import SecretError, StoreError, ZenMLBaseException, sentence
from zenml.secret.known import redact
from zenml.secret.registry import restore_secret
from zenml.secrets_managers.base_secrets_manager import BaseSecretsManager

if TYPE_CHECKING:
    from zenml.secret import BaseSecretSchema

ATTEMPTS = 3
"""How often a request is made that the service did not answer."""

_UPDATES = 30
_LONGEST_WAIT = 0.5
_LONGEST_TEXT = 300
_MOST = 20
_PREFIX = re.compile(r"[a-z][a-z0-9-]{0,29}")
_PLAIN = re.compile(r"(?!.*--)[A-Za-z0-9_-]+")
_NO_WORD = re.compile(r"[^A-Za-z0-9]+")

_REFUSED = "nothing answers there. Is the service running, and is its address right?"
# The first of these that any error of the chain is, by the names of its classes: each library has its own for the same trouble.
_TROUBLES = (
    (
        frozenset({"SSLError", "CertificateError"}),
        "no connection can be trusted there. Is it the right server, does it speak TLS, and is its certificate's authority known here?",
    ),
    # In urllib3, who is refused a connection has waited too long for one.
    (frozenset({"NewConnectionError", "ConnectionRefusedError"}), _REFUSED),
    (
        frozenset(
            {
                *("TimeoutError", "Timeout", "ConnectTimeoutError", "ReadTimeoutError"),
                *("ServiceRequestTimeoutError", "ServiceResponseTimeoutError"),
            }
        ),
        "it did not answer within {timeout:g} seconds. Is it reachable from here, and is its address right?",
    ),
    (
        frozenset(
            {
                *("ConnectionError", "HTTPClientError", "TransportError"),
                *("ServiceRequestError", "ServiceResponseError"),
            }
        ),
        _REFUSED,
    ),
)


class RemoteSecretsManager(BaseSecretsManager):
    """Keeps secrets in a service that every machine with the credentials can reach.

    What opens it comes from the environment, where the service's own tools look for it, or from fields that refer to environment
    variables. Several managers can share a place: each sees what was made with its own `prefix`. An answer may take `timeout` seconds.
    """

    prefix: str = "zenml"
    timeout: float = Field(10, gt=0)

    _clients: dict[int, Any] = PrivateAttr(default_factory=dict)

    @field_validator("prefix")
    @classmethod
    def _check_prefix(cls, value: str) -> str:
        if not _PREFIX.fullmatch(value):
            raise ValueError(
                f"{value!r} is none: expected up to 30 lower-case letters, digits and hyphens, a letter first"
            )
        return value

    @property
    def _client(self) -> Any:
        """This process's client: connections cannot be shared with the process that this one was forked from."""
        process = os.getpid()
        if process not in self._clients:
            self._clients[process] = self._connected()
        return self._clients[process]

    @property
    @abstractmethod
    def _place(self) -> str:
        """Where the secrets are, as a person reads it: "'secret/zenml' at https://vault.example.org"."""

    @abstractmethod
    def _connected(self) -> Any:
        """A new client."""

    @abstractmethod
    def _explained(self, error: BaseException) -> str | None:
        """What an answer of the service means and what to do about it, as sentences that follow a colon; None if it is not known."""

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Let whatever the service's library raises be a StoreError that says what to do."""
        try:
            yield
        except ZenMLBaseException:
            raise
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            raise self._error(error) from None

    def _error(self, error: Exception) -> StoreError:
        chain = _chain(error)
        reason = self._explained(error)
        if reason is None:
            names = {class_.__name__ for one in chain for class_ in type(one).__mro__}
            reason = next(
                (reason.format(timeout=self.timeout) for known, reason in _TROUBLES if known & names),
                "the request failed.",
            )
        text = next((text for one in chain if (text := str(one).strip())), type(error).__name__)
        # The answer may repeat what was sent.
        shown = redact(" ".join(text.split()))[:_LONGEST_TEXT]
        return StoreError(
            f"The {self.TYPE.display} '{self.name}' cannot use {self._place}: {reason} The answer was: {sentence(shown)}"
        )


class VersionedSecretsManager(RemoteSecretsManager):
    """Keeps each secret as one document, in a service that tells whether the document has changed since it was read.

    The document is `{"name": ..., "schema": TYPE, "content": {key: value}}`.
    """

    def register_secret(self, secret: BaseSecretSchema) -> None:
        """Keep a new secret. Raises SecretExistsError if its name is taken."""
        with self._told():
            if not self._write(secret.name, _document(secret), None):
                raise self._taken(secret.name)

    def get_secret(self, secret_name: str) -> BaseSecretSchema:
        """The secret of that name. Raises DoesNotExistException, which names the nearest known one."""
        with self._told():
            return self._found(secret_name)[0]

    def get_all_secret_keys(self) -> list[str]:
        """The names of all secrets, sorted."""
        with self._told():
            return sorted(self._names())

    def update_secret(self, secret: BaseSecretSchema) -> None:
        """Set the keys of `secret` in the kept secret of its name. Raises DoesNotExistException, SecretError."""
        with self._told():
            for attempt in range(_UPDATES):
                kept, version = self._found(secret.name)
                if self._write(secret.name, _document(self._merged(kept, secret)), version):
                    return
                # Those who write at once must not meet again.
                time.sleep(random.uniform(0, min(_LONGEST_WAIT, 0.01 * 2**attempt)))  # noqa: S311 - no secret
        raise StoreError(
            f"The secret '{secret.name}' in {self._place} was changed by others each of the {_UPDATES} times that it was to be updated: "
            "nothing was changed, try again."
        )

    def delete_secret(self, secret_name: str) -> None:
        """Remove a secret. Raises DoesNotExistException, which names the nearest known one."""
        with self._told():
            self._kept(secret_name)
            self._remove(secret_name)

    def delete_all_secrets(self) -> None:
        """Remove all secrets."""
        with self._told():
            for name in list(self._names()):
                self._remove(name)

    @abstractmethod
    def _names(self) -> Iterable[str]:
        """The names of all secrets."""

    @abstractmethod
    def _read(self, name: str) -> tuple[Any, Any] | None:
        """The document of that name, and what tells its versions apart; None if there is none."""

    @abstractmethod
    def _write(self, name: str, document: dict[str, Any], version: Any) -> bool:
        """Keep a document in the place of that `version` (None: of none). False, and nothing is done, if the present one is another."""

    @abstractmethod
    def _remove(self, name: str) -> None:
        """Remove the document of that name, if it is there."""

    def _found(self, name: str) -> tuple[BaseSecretSchema, Any]:
        schema, content, version = self._kept(name)
        return restore_secret(schema, name, content), version

    def _kept(self, name: str) -> tuple[str, dict[str, str], Any]:
        found = self._read(name)
        if found is None:
            raise self._missing(name)
        document, version = found
        match document:
            case {"schema": str(schema), "content": dict(content)}:
                return schema, content, version
        raise SecretError(
            f"'{name}' in {self._place} is no secret that was registered here: expected an object with a schema and its content. "
            "Move it elsewhere, and register it."
        )


def entry_name(name: str) -> str:
    """What a service calls the secret of that name: just so where it consists of ASCII letters, digits, `_` and `-`."""
    return name if _PLAIN.fullmatch(name) else f"{readable(name)}--{digest(name)}"


def readable(text: str) -> str:
    """What is left of a text that is to be part of a service's name; it tells no two texts apart."""
    return _NO_WORD.sub("-", text).strip("-")[:30].rstrip("-")


def digest(*texts: str) -> str:
    """Tells lists of texts apart, in 20 characters."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:20]


def _document(secret: BaseSecretSchema) -> dict[str, Any]:
    return {"name": secret.name, "schema": secret.TYPE, "content": secret.content}


def _chain(error: BaseException) -> list[BaseException]:
    """The error with those that it came from, wherever its library keeps them: the nearest first."""
    found = [error]
    for one in found:
        inner = [getattr(one, name, None) for name in ("inner_exception", "reason")]  # azure.core, urllib3
        for cause in (*inner, *one.args, one.__cause__, one.__context__):
            if isinstance(cause, BaseException) and cause not in found and len(found) < _MOST:
                found.append(cause)
    return found
