"""Our secrets manager, and the smallest one, pass the suite."""

from threading import Lock
from typing import ClassVar

import pytest

from zenml.exceptions import SecretError
from zenml.secret import ArbitrarySecretSchema, BaseSecretSchema
from zenml.secrets_managers import BaseSecretsManager, LocalSecretsManager
from zenml.testing.conformance import SecretsManagerConformance
from zenml.testing.conformance.secrets_managers import CANARY

UPDATING = Lock()


class MemorySecretsManager(BaseSecretsManager):
    """The smallest manager, as the interface's docstring shows it, for several threads."""

    FLAVOR: ClassVar[str] = "memory"
    _secrets: dict[str, BaseSecretSchema] = {}

    def register_secret(self, secret):
        if secret.name in self._secrets:
            raise self._taken(secret.name)
        self._secrets[secret.name] = secret

    def get_secret(self, secret_name):
        if secret_name not in self._secrets:
            raise self._missing(secret_name)
        return self._secrets[secret_name]

    def get_all_secret_keys(self):
        return sorted(self._secrets)

    def update_secret(self, secret):
        with UPDATING:
            self._secrets[secret.name] = self._merged(self.get_secret(secret.name), secret)

    def delete_secret(self, secret_name):
        del self._secrets[self.get_secret(secret_name).name]

    def delete_all_secrets(self):
        self._secrets.clear()


class TestLocal(SecretsManagerConformance):
    @pytest.fixture
    def manager(self) -> BaseSecretsManager:
        return LocalSecretsManager(name="vault")


class TestMemory(SecretsManagerConformance):
    @pytest.fixture
    def manager(self) -> BaseSecretsManager:
        return MemorySecretsManager(name="vault")


@pytest.mark.parametrize("class_", [LocalSecretsManager, MemorySecretsManager])
def test_two_managers_share_nothing(class_):
    first, second = class_(name="vault"), class_(name="vault")
    first.register_secret(ArbitrarySecretSchema(name="db", x="1"))
    assert second.get_all_secret_keys() == []


def test_what_opens_a_manager_is_not_kept_in_one():
    class Remote(MemorySecretsManager):
        FLAVOR: ClassVar[str] = "remote"
        token: str

    with pytest.raises(
        SecretError, match=r"'far' holds a secret in clear in: token.*as in '\{\{env.X\}\}'"
    ) as error:
        LocalSecretsManager(name="vault").keep_literals(Remote(name="far", token=CANARY))
    assert CANARY not in str(error.value)
