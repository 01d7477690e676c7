"""The secrets manager that needs nothing: an encrypted file on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import field_validator

from zenml.config.global_config import GlobalConfiguration
from zenml.secret.registry import restore_secret
from zenml.secrets_managers.base_secrets_manager import BaseSecretsManager
from zenml.secrets_managers.encrypted_file import EncryptedFile

if TYPE_CHECKING:
    from zenml.secret import BaseSecretSchema


class LocalSecretsManager(BaseSecretsManager):
    """Keeps secrets in an encrypted file on this machine.

    The key is ZENML_SECRETS_KEY (32 random bytes in URL-safe base64), else the content of `secrets.key` in the
    configuration directory, which is made when the first secret is kept and which only its owner may read. Whoever
    loses the key loses the secrets. `secrets_file` is where the secrets lie; by default, in a folder of this
    component's own in the configuration directory.
    """

    FLAVOR: ClassVar[str] = "local"

    secrets_file: str = ""

    @field_validator("secrets_file")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return str(Path(value).expanduser().absolute()) if value else value

    @property
    def local_path(self) -> str:
        """The folder of the file."""
        return str(self._file.path.parent)

    def register_secret(self, secret: BaseSecretSchema) -> None:
        """Keep a new secret. Raises SecretExistsError if its name is taken."""
        with self._file.change() as secrets:
            if secret.name in secrets:
                raise self._taken(secret.name)
            secrets[secret.name] = _document(secret)

    def get_secret(self, secret_name: str) -> BaseSecretSchema:
        """The secret of that name. Raises DoesNotExistException, which names the nearest known one."""
        return self._restored(self._file.read(), secret_name)

    def get_all_secret_keys(self) -> list[str]:
        """The names of all secrets, sorted."""
        return sorted(self._file.read())

    def update_secret(self, secret: BaseSecretSchema) -> None:
        """Set the keys of `secret` in the kept secret of its name. Raises DoesNotExistException, SecretError."""
        with self._file.change() as secrets:
            secrets[secret.name] = _document(self._merged(self._restored(secrets, secret.name), secret))

    def delete_secret(self, secret_name: str) -> None:
        """Remove a secret. Raises DoesNotExistException, which names the nearest known one."""
        with self._file.change() as secrets:
            if secret_name not in secrets:
                raise self._missing(secret_name)
            del secrets[secret_name]

    def delete_all_secrets(self) -> None:
        """Remove all secrets."""
        if self._file.path.exists():
            with self._file.change() as secrets:
                secrets.clear()

    @property
    def _file(self) -> EncryptedFile:
        directory = GlobalConfiguration().config_directory
        path = Path(self.secrets_file or directory / "local_stores" / str(self.uuid) / "secrets.encrypted")
        return EncryptedFile(path, directory / "secrets.key")

    def _restored(self, secrets: dict[str, dict[str, Any]], name: str) -> BaseSecretSchema:
        if name not in secrets:
            raise self._missing(name)
        return restore_secret(secrets[name]["schema"], name, secrets[name]["content"])


def _document(secret: BaseSecretSchema) -> dict[str, object]:
    return {"schema": secret.TYPE, "content": secret.content}
