"""The secrets that a job was given, in place of a secrets manager that it cannot reach."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zenml.enums import Reach
from zenml.exceptions import DoesNotExistException, SecretError
from zenml.jobs.secrets import received_secrets
from zenml.secret.registry import restore_secret
from zenml.secrets_managers.base_secrets_manager import BaseSecretsManager

if TYPE_CHECKING:
    from zenml.secret import BaseSecretSchema


class CarriedSecretsManager(BaseSecretsManager):
    """What is needed of the secrets manager of whoever started the run: it can be read, and not be changed."""

    FLAVOR: ClassVar[str] = "carried"

    @property
    def reach(self) -> Reach:
        """This job."""
        return Reach.PROCESS

    def get_secret(self, secret_name: str) -> BaseSecretSchema:
        """The secret of that name. Raises DoesNotExistException."""
        found = (received_secrets() or {}).get(secret_name)
        if found is None:
            raise DoesNotExistException(
                f"The secret '{secret_name}' was not handed on to this step: its secrets manager '{self.name}' cannot be reached from "
                f"here. Name it in the pipeline: @pipeline(secrets=[{secret_name!r}])."
            )
        return restore_secret(found["type"], secret_name, found["content"])

    def get_all_secret_keys(self) -> list[str]:
        """The names of those that were handed on."""
        return sorted(received_secrets() or {})

    def register_secret(self, secret: BaseSecretSchema) -> None:
        """Refused."""
        raise self._fixed()

    def update_secret(self, secret: BaseSecretSchema) -> None:
        """Refused."""
        raise self._fixed()

    def delete_secret(self, secret_name: str) -> None:
        """Refused."""
        raise self._fixed()

    def delete_all_secrets(self) -> None:
        """Refused."""
        raise self._fixed()

    def _fixed(self) -> SecretError:
        return SecretError(
            f"The secrets manager '{self.name}' cannot be reached from this step: secrets can be read here, and not be changed."
        )
