"""The secrets managers of services pass the suite, each against the service or what stands for it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import remote_secrets
from tests.fakes import https
from tests.fakes.azure_identity import IDENTITY_HEADER
from tests.fakes.google_accounts import PROJECT
from tests.fakes.key_vault import FakeKeyVault
from tests.fakes.secret_manager import FakeSecretManager
from zenml.integrations.aws.secrets_managers import AWSSecretsManager
from zenml.integrations.azure.secrets_managers import AzureSecretsManager
from zenml.integrations.gcp.secrets_managers import GCPSecretsManager
from zenml.integrations.vault.secrets_managers import VaultSecretsManager
from zenml.secrets_managers import BaseSecretsManager
from zenml.testing.conformance import SecretsManagerConformance


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with remote_secrets.moto() as url:
        yield url


@pytest.fixture(scope="module")
def secret_manager(tmp_path_factory) -> Iterator[tuple[FakeSecretManager, Path]]:
    fake = FakeSecretManager()
    with https.served(fake, tmp_path_factory.mktemp("gcp")) as authority:
        yield fake, authority


@pytest.fixture(scope="module")
def key_vault(tmp_path_factory) -> Iterator[tuple[FakeKeyVault, Path]]:
    fake = FakeKeyVault()
    with https.served(fake, tmp_path_factory.mktemp("azure")) as authority:
        yield fake, authority


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


class TestGCP(SecretsManagerConformance):
    """Against a fake."""

    @pytest.fixture
    def manager(self, secret_manager, tmp_path, monkeypatch) -> BaseSecretsManager:
        fake, authority = secret_manager
        key = tmp_path / "key.json"
        key.write_text(fake.account)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        return emptied(GCPSecretsManager(name="vault", project_id=PROJECT, endpoint=fake.url))


class TestAzure(SecretsManagerConformance):
    """Against a fake."""

    @pytest.fixture
    def manager(self, key_vault, monkeypatch) -> BaseSecretsManager:
        fake, authority = key_vault
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        return emptied(AzureSecretsManager(name="vault", key_vault_name="my-vault", vault_url=fake.url))


def emptied(manager: BaseSecretsManager) -> BaseSecretsManager:
    manager.delete_all_secrets()
    return manager
