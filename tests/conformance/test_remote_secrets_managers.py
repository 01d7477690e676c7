"""The secrets managers of services pass the suite, each against the service or what stands for it."""

from collections.abc import Iterator

import pytest

from tests import remote_secrets
from zenml.integrations.aws.secrets_managers import AWSSecretsManager
from zenml.integrations.vault.secrets_managers import VaultSecretsManager
from zenml.secrets_managers import BaseSecretsManager
from zenml.testing.conformance import SecretsManagerConformance


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with remote_secrets.moto() as url:
        yield url


class TestVault(SecretsManagerConformance):
    @pytest.fixture
    def manager(self, openbao, monkeypatch) -> BaseSecretsManager:
        monkeypatch.setenv("VAULT_TOKEN", openbao.token)
        return emptied(VaultSecretsManager(name="vault", url=openbao.url))


class TestAWS(SecretsManagerConformance):
    @pytest.fixture
    def manager(self, moto_url, monkeypatch) -> BaseSecretsManager:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
        return emptied(AWSSecretsManager(name="vault", endpoint_url=moto_url))


def emptied(manager: BaseSecretsManager) -> BaseSecretsManager:
    manager.delete_all_secrets()
    return manager
