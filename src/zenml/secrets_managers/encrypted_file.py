"""A file that holds one JSON object, encrypted."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.exceptions import SecretError, StoreError
from zenml.storage.files import locked, replace

if TYPE_CHECKING:
    from cryptography.fernet import Fernet

KEY_VARIABLE = "ZENML_SECRETS_KEY"

_MAGIC = "zenml-secrets"
_VERSION = 1
_HEADER = re.compile(rf"{_MAGIC} (?P<version>[1-9]\d*) (?P<key>[0-9a-f]+)\n")
_NEW_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"


@dataclass(frozen=True, repr=False)
class Key:
    """A key, and where it came from."""

    value: bytes
    origin: str

    @property
    def fingerprint(self) -> str:
        """Tells keys apart. It says nothing about the key, which is random."""
        return hashlib.sha256(_MAGIC.encode() + self.value).hexdigest()[:16]

    @property
    def cipher(self) -> Fernet:
        """Encrypts and authenticates. Raises SecretError if the value is no key."""
        from cryptography.fernet import Fernet  # costs more than all else here

        try:
            return Fernet(self.value)
        except ValueError:
            raise SecretError(
                f"{self.origin} holds no key: expected 32 random bytes in URL-safe base64, as this prints: {_NEW_KEY}"
            ) from None


def find_key(file: Path, *, make: bool) -> Key:
    """The key in ZENML_SECRETS_KEY, else in `file`; with `make`, a new one is written there if there is none.

    Raises:
        SecretError: there is none.
        StoreError: the file cannot be read or written.
    """
    if variable := os.environ.get(KEY_VARIABLE, "").strip():
        return Key(variable.encode(errors="surrogateescape"), f"The environment variable {KEY_VARIABLE}")
    origin = f"The file {str(file)!r}"
    if value := _read(file):
        return Key(value.strip(), origin)
    if not make:
        raise SecretError(
            f"There is no key to decrypt secrets with: neither {KEY_VARIABLE} nor {str(file)!r} holds one. Restore it."
        )
    from cryptography.fernet import Fernet

    with locked(file.with_name(f"{file.name}.lock")):
        value = _read(file)
        if not value:
            value = Fernet.generate_key()
            replace(file, f"{value.decode()}\n", mode=0o600)
    return Key(value.strip(), origin)


@dataclass(frozen=True)
class EncryptedFile:
    """A JSON object, encrypted and authenticated as a whole, so that neither names nor values can be read, changed or swapped.

    The first line names the format, its version and the key's fingerprint; the second is a Fernet token (AES-128-CBC with HMAC-SHA256,
    https://github.com/fernet/spec). Every member raises `SecretError` for a file that cannot be decrypted and `StoreError` for one that
    cannot be read or written; either way the file stays as it was.
    """

    path: Path
    key_file: Path

    def read(self) -> dict[str, Any]:
        """The object; an empty one if there is no file."""
        found = _read(self.path)
        if not found:
            return {}
        text = found.decode("ascii", errors="replace")
        header = _HEADER.match(text)
        if header is None:
            raise self._unusable("it is not in the format of encrypted secrets")
        if int(header["version"]) > _VERSION:
            raise SecretError(
                f"The secrets in {str(self.path)!r} were written by a newer version of this program: update it."
            )
        key = find_key(self.key_file, make=False)
        cipher = key.cipher
        if header["key"] != key.fingerprint:
            raise SecretError(
                f"The secrets in {str(self.path)!r} are encrypted with another key (fingerprint {header['key']}). {key.origin} holds "
                f"{key.fingerprint}: set {KEY_VARIABLE} to the right key, or restore {str(self.key_file)!r}. Nothing was changed."
            )
        return self._decrypted(cipher, text[header.end() :].encode())

    @contextmanager
    def change(self) -> Iterator[dict[str, Any]]:
        """The object, to change in place: it is written when the block ends without an exception. One process at a time."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"The folder {str(self.path.parent)!r} cannot be made: {error.strerror}."
            ) from None
        with locked(self.path.with_name(f"{self.path.name}.lock")):
            data = self.read()
            yield data
            key = find_key(self.key_file, make=True)
            token = key.cipher.encrypt(json.dumps(data).encode())
            replace(self.path, f"{_MAGIC} {_VERSION} {key.fingerprint}\n{token.decode()}\n", mode=0o600)

    def _decrypted(self, cipher: Fernet, token: bytes) -> dict[str, Any]:
        from cryptography.fernet import InvalidToken

        try:
            data: dict[str, Any] = json.loads(cipher.decrypt(token.strip()))
        except InvalidToken:
            raise self._unusable("it is not what was written with this key") from None
        return data

    def _unusable(self, reason: str) -> SecretError:
        return SecretError(
            f"The secrets in {str(self.path)!r} cannot be decrypted: the file is damaged or was tampered with, {reason}. Nothing was "
            f"changed: restore it from a backup, or move it away to begin with no secrets."
        )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(f"The file {str(path)!r} cannot be read: {error.strerror}.") from None
