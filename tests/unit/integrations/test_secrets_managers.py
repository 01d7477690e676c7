"""What the secrets managers of services do that the common suite does not ask, and what they say when something is wrong."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import boto3
import hvac
import pytest

from tests import remote_secrets, services
from tests.conftest import OpenBao
from tests.fakes import https
from tests.fakes.azure_identity import IDENTITY_HEADER
from tests.fakes.google_accounts import PROJECT
from tests.fakes.key_vault import FakeKeyVault
from tests.fakes.secret_manager import FakeSecretManager
from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    SecretError,
    SecretExistsError,
    StoreError,
)
from zenml.integrations.aws.secrets_managers import AWSSecretsManager, aws_secrets_manager
from zenml.integrations.azure.secrets_managers import AzureSecretsManager, azure_secrets_manager
from zenml.integrations.gcp.secrets_managers import GCPSecretsManager
from zenml.integrations.vault.secrets_managers import VaultSecretsManager
from zenml.secret import ArbitrarySecretSchema
from zenml.secrets_managers import BaseSecretsManager


def secret(name: str, **content: str) -> ArbitrarySecretSchema:
    return ArbitrarySecretSchema(name=name, arbitrary_kv_pairs=content)


def said(call, *arguments) -> str:
    with pytest.raises(StoreError) as caught:
        call(*arguments)
    return str(caught.value)


# All of them: connections


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A fake that has a certificate which nobody trusts, and credentials for all services."""
    fake = FakeSecretManager()
    monkeypatch.setenv("VAULT_TOKEN", "token")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    with https.served(fake, tmp_path) as authority:
        yield SimpleNamespace(fake=fake, url=fake.url, authority=authority)


@pytest.fixture(params=["vault", "aws", "gcp_secrets_manager", "azure_key_vault"])
def make(request, cloud, tmp_path, monkeypatch):
    """Makes a manager of each flavor that is to find its service at a URL."""

    def made(url: str) -> BaseSecretsManager:
        common = {"name": "far", "timeout": 0.5}
        if request.param == "vault":
            return VaultSecretsManager(url=url, **common)
        if request.param == "aws":
            return AWSSecretsManager(endpoint_url=url, **common)
        if request.param == "azure_key_vault":
            monkeypatch.setenv("IDENTITY_ENDPOINT", f"{url}/identity")
            return AzureSecretsManager(key_vault_name="my-vault", vault_url=url, **common)
        account = json.loads(cloud.fake.account) | {"token_uri": f"{url}/token"}
        (tmp_path / "key.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
        return GCPSecretsManager(project_id=PROJECT, endpoint=url, **common)

    return made


def test_nothing_answers(make) -> None:
    url = f"https://127.0.0.1:{services.free_port()}"
    message = said(make(url).get_all_secret_keys)
    assert "The secrets manager 'far' cannot use '" in message
    assert url in message
    assert "nothing answers there. Is the service running, and is its address right?" in message


def test_a_server_that_does_not_answer_is_not_waited_for(make) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        start = time.monotonic()
        message = said(make(f"https://127.0.0.1:{listener.getsockname()[1]}").get_secret, "x")
        assert "it did not answer within 0.5 seconds" in message
        assert time.monotonic() - start < 20


def test_a_certificate_that_nobody_vouches_for(make, cloud) -> None:
    assert "no connection can be trusted there. Is it the right server" in said(
        make(cloud.url).get_secret, "x"
    )


@pytest.mark.parametrize("prefix", ["", "A", "a/b", "a_b", "1a", "a" * 31])
def test_a_prefix_that_some_service_could_not_have(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix: .* is none: expected up to 30 lower-case letters"):
        AWSSecretsManager(name="far", prefix=prefix)


def test_what_opens_a_manager_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"the token refers to the secret '\{\{own.token\}\}', but what opens a secrets manager",
    ):
        VaultSecretsManager(name="own", url="https://vault.example.org", token="{{own.token}}")
    manager = VaultSecretsManager(name="own", url="https://vault.example.org", token="{{env.SOME_TOKEN}}")
    assert manager.to_record().configuration["token"] == "{{env.SOME_TOKEN}}"
    with pytest.raises(SecretError, match="The environment variable 'SOME_TOKEN' is not set"):
        manager.get_all_secret_keys()
    with pytest.raises(
        SecretError, match=r"holds a secret in clear in: token.*as in '\{\{env.X\}\}'"
    ) as caught:
        VaultSecretsManager(name="own", url="https://vault.example.org", token="s.canary").to_record()
    assert "canary" not in str(caught.value)


def test_flavors_are_found_without_being_imported() -> None:
    from zenml.enums import StackComponentType
    from zenml.stack.flavors import find_flavor, load_flavor

    for name in ("vault", "aws", "gcp_secrets_manager", "azure_key_vault"):
        assert name == load_flavor(find_flavor(StackComponentType.SECRETS_MANAGER, name)).FLAVOR


# Vault


@pytest.fixture
def root(openbao: OpenBao) -> hvac.Client:
    return hvac.Client(openbao.url, token=openbao.token)


@pytest.fixture
def place(root: hvac.Client) -> Iterator[str]:
    """A mount of the test's own."""
    path = f"test-{os.urandom(4).hex()}"
    root.sys.enable_secrets_engine("kv", path=path, options={"version": "2"})
    yield path
    root.sys.disable_secrets_engine(path)


@pytest.fixture
def vault(openbao: OpenBao, place: str, monkeypatch: pytest.MonkeyPatch):
    """Makes managers on that mount."""
    monkeypatch.delenv("VAULT_TOKEN", raising=False)

    def made(token: str | None = openbao.token, **fields) -> VaultSecretsManager:
        if token is not None:
            monkeypatch.setenv("A_TOKEN", token)
            fields["token"] = "{{env.A_TOKEN}}"
        return VaultSecretsManager(**{"name": "vault", "url": openbao.url, "mount_point": place, **fields})

    return made


POLICY = """
path "{place}/data/zenml/*" {{ capabilities = [{rights}] }}
path "{place}/metadata/zenml/*" {{ capabilities = [{rights}] }}
path "{place}/metadata/zenml" {{ capabilities = ["list"] }}
"""


def grant(root: hvac.Client, place: str, *rights: str) -> str:
    root.sys.create_or_update_policy(
        place, POLICY.format(place=place, rights=", ".join(f'"{right}"' for right in rights))
    )
    return place


def test_vault_keeps_a_document_that_other_tools_can_read(vault, root, place) -> None:
    vault().register_secret(secret("db", user="ann"))
    kept = root.secrets.kv.v2.read_secret_version(
        "zenml/db", mount_point=place, raise_on_deleted_version=True
    )
    assert kept["data"]["data"] == {"name": "db", "schema": "arbitrary", "content": {"user": "ann"}}


def test_vault_managers_of_other_prefixes_mounts_and_namespaces_share_nothing(vault, root, place) -> None:
    namespace = f"{place}-inside"
    root.adapter.post(f"/v1/sys/namespaces/{namespace}")
    inside = hvac.Client(root.url, token=root.token, namespace=namespace)
    inside.sys.enable_secrets_engine("kv", path=place, options={"version": "2"})
    managers = [
        vault(),
        vault(prefix="team-a"),
        vault(mount_point="secret", prefix=place),
        vault(namespace=namespace),
    ]
    for number, manager in enumerate(managers):
        manager.register_secret(secret("db", number=str(number)))
    managers[1].delete_all_secrets()
    assert [manager.get_all_secret_keys() for manager in managers] == [["db"], [], ["db"], ["db"]]
    assert managers[3].get_secret("db").content == {"number": "3"}
    managers[2].delete_all_secrets()


def test_vault_takes_the_token_of_its_own_tools(vault, openbao, monkeypatch) -> None:
    monkeypatch.setenv("VAULT_TOKEN", openbao.token)
    assert vault(token=None).get_all_secret_keys() == []


def test_vault_refuses_a_token_that_is_missing_wrong_or_expired(vault, root) -> None:
    wanted = "the token is missing, wrong or expired. Get a new one with `vault login`"
    assert wanted in said(vault(token=None).get_all_secret_keys)
    assert wanted in said(vault(token="s.wrong").get_secret, "db")
    token = root.auth.token.create(ttl="1h")["auth"]["client_token"]
    manager = vault(token=token)
    assert manager.get_all_secret_keys() == []
    root.auth.token.revoke(token)
    message = said(manager.get_all_secret_keys)
    assert wanted in message
    assert token not in message


def test_vault_names_the_rights_that_are_missing(vault, root, place) -> None:
    vault().register_secret(secret("db", user="ann"))
    policy = grant(root, place, "read", "list")
    token = root.auth.token.create(policies=[policy])["auth"]["client_token"]
    manager = vault(token=token)
    assert manager.get_secret("db").content == {"user": "ann"}
    assert manager.get_all_secret_keys() == ["db"]
    for refused in (
        lambda: manager.update_secret(secret("db", user="bob")),
        lambda: manager.delete_secret("db"),
    ):
        assert (
            f"access is denied. The policy must grant create, read and update on '{place}/data/zenml/*'"
            in said(refused)
        )
    assert vault().get_secret("db").content == {"user": "ann"}


def test_vault_logs_in_as_an_approle_and_again_when_its_token_ends(vault, root, place, monkeypatch) -> None:
    root.sys.enable_auth_method("approle", path=place)
    policy = grant(root, place, "create", "read", "update", "delete", "list")
    root.auth.approle.create_or_update_approle("robot", token_policies=[policy], mount_point=place)
    role = root.auth.approle.read_role_id("robot", mount_point=place)["data"]["role_id"]
    monkeypatch.setenv(
        "SECRET_ID", root.auth.approle.generate_secret_id("robot", mount_point=place)["data"]["secret_id"]
    )
    manager = vault(token=None, role_id=role, secret_id="{{env.SECRET_ID}}", approle_mount_point=place)
    manager.register_secret(secret("db", user="ann"))
    root.auth.token.revoke(manager._client.token)
    assert manager.get_secret("db").content == {"user": "ann"}
    monkeypatch.setenv("SECRET_ID", "wrong")
    other = vault(token=None, role_id=role, secret_id="{{env.SECRET_ID}}", approle_mount_point=place)
    assert "the AppRole is not accepted: role_id or secret_id are wrong, used up or expired" in said(
        other.get_secret, "db"
    )


def test_vault_wants_a_key_value_engine_of_version_2(vault, root, place) -> None:
    root.sys.enable_secrets_engine("kv", path=f"{place}-1", options={"version": "1"})
    message = said(vault(mount_point=f"{place}-1").register_secret, secret("db", user="ann"))
    assert (
        "no key-value engine of version 2. Make one with `vault secrets enable -path=PATH kv-v2`" in message
    )
    assert "there is no such mount, or no such namespace" in said(
        vault(mount_point="nowhere").get_secret, "db"
    )
    assert "there is no such mount, or no such namespace" in said(vault(namespace="nowhere").get_secret, "db")


def test_a_secret_that_was_deleted_by_other_means_can_be_registered_again(vault, root, place) -> None:
    manager = vault()
    manager.register_secret(secret("db", user="ann"))
    root.secrets.kv.v2.delete_latest_version_of_secret("zenml/db", mount_point=place)
    with pytest.raises(DoesNotExistException):
        manager.get_secret("db")
    manager.register_secret(secret("db", user="bob"))
    assert manager.get_secret("db").content == {"user": "bob"}


def test_vault_says_what_is_none_of_our_secrets(vault, root, place) -> None:
    root.secrets.kv.v2.create_or_update_secret("zenml/db", {"password": "canary"}, mount_point=place)
    with pytest.raises(SecretError, match="'db' in .* is no secret that was registered here") as caught:
        vault().get_secret("db")
    assert "canary" not in str(caught.value)
    with pytest.raises(SecretError, match="is no secret that was registered here"):
        vault().delete_secret("db")


def test_a_sealed_vault(tmp_path: Path) -> None:
    server = services.OpenBaoServer(tmp_path / "bao")
    try:
        server.start()
    except services.ServiceMissingError as error:
        pytest.skip(str(error))
    try:
        url = f"http://127.0.0.1:{server.port}"
        hvac.Client(url, token=server.password).sys.seal()
        manager = VaultSecretsManager(name="vault", url=url)
        assert "it is sealed or on standby. Unseal it with `vault operator unseal`" in said(
            manager.get_secret, "db"
        )
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "vault.example.org"}, "url: 'vault.example.org' is no address"),
        ({"url": "https://ann:canary@vault.example.org"}, "url: it holds a user: expected an address alone"),
        ({"mount_point": "/"}, "mount_point: it is empty"),
        ({"role_id": "r"}, "an AppRole logs in with a role_id and a secret_id: only one of them is given"),
        (
            {"role_id": "r", "secret_id": "s", "token": "t"},
            "a token and a role_id are given: expected one of them",
        ),
    ],
)
def test_a_vault_that_is_configured_wrongly(fields, message) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        VaultSecretsManager(**{"name": "vault", "url": "https://vault.example.org", **fields})
    assert "canary" not in str(caught.value)


def test_verify_is_a_path_or_a_word() -> None:
    def verify(value):
        return VaultSecretsManager(name="vault", url="https://vault.example.org", verify=value).verify

    assert [verify("false"), verify("true"), verify("/etc/authority.pem")] == [
        False,
        True,
        "/etc/authority.pem",
    ]


# AWS


@pytest.fixture
def moto_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    with remote_secrets.moto() as url:
        yield url


def test_aws_lists_all_pages_and_its_own_secrets_only(moto_url: str) -> None:
    manager = AWSSecretsManager(name="vault", endpoint_url=moto_url)
    client = boto3.client("secretsmanager", region_name="us-east-1", endpoint_url=moto_url)
    client.create_secret(Name="zenml/made-by-others", SecretString="x")
    with pytest.raises(SecretError, match="is no secret that was registered here"):
        manager.get_secret("made-by-others")
    names = [f"s{number:03}" for number in range(105)]
    for name in names:
        manager.register_secret(secret(name, x="1"))
    for other in (
        AWSSecretsManager(name="vault", endpoint_url=moto_url, prefix="zenml-2"),
        AWSSecretsManager(name="vault", endpoint_url=moto_url, region_name="eu-central-1"),
    ):
        other.register_secret(secret("other", x="1"))
        assert other.get_all_secret_keys() == ["other"]
    assert manager.get_all_secret_keys() == names
    assert json.loads(client.get_secret_value(SecretId="zenml/s001")["SecretString"]) == {
        "name": "s001",
        "schema": "arbitrary",
        "content": {"x": "1"},
    }


def test_aws_credentials_can_be_given_by_reference(moto_url: str, monkeypatch) -> None:
    monkeypatch.setenv("MY_KEY", "key")
    manager = AWSSecretsManager(
        name="vault", endpoint_url=moto_url, aws_access_key_id="id", aws_secret_access_key="{{env.MY_KEY}}"
    )
    manager.register_secret(secret("db", x="1"))
    assert manager.get_secret("db").content == {"x": "1"}
    with pytest.raises(ConfigurationError, match="belong together: only one is given"):
        AWSSecretsManager(name="vault", aws_access_key_id="id")


def test_aws_says_that_a_secret_waits_for_its_deletion(moto_url: str, monkeypatch) -> None:
    monkeypatch.setattr(aws_secrets_manager, "_GONE_SECONDS", (0.01, 0.01))
    manager = AWSSecretsManager(name="vault", endpoint_url=moto_url)
    manager.register_secret(secret("db", x="1"))
    boto3.client("secretsmanager", region_name="us-east-1", endpoint_url=moto_url).delete_secret(
        SecretId="zenml/db"
    )
    with pytest.raises(DoesNotExistException):
        manager.get_secret("db")
    # Amazon refuses here what moto calls taken.
    with pytest.raises((StoreError, SecretExistsError)):
        manager.register_secret(secret("db", x="2"))


@pytest.mark.parametrize(
    ("code", "status", "message"),
    [
        (
            "UnrecognizedClientException",
            400,
            "the credentials are not accepted. They are looked for as the AWS tools do",
        ),
        ("ExpiredTokenException", 400, "the credentials have expired, or the clock of this machine is wrong"),
        ("AccessDeniedException", 400, "access is denied. The policy must grant secretsmanager:CreateSecret"),
        ("InternalServiceError", 500, "the request failed."),
        ("InvalidRequestException", 400, "a secret of that name is scheduled for deletion"),
    ],
)
def test_what_aws_answers_is_told(monkeypatch, code, status, message) -> None:
    def application(environ, start_response):
        environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        start_response(f"{status} X", [("Content-Type", "application/x-amz-json-1.1")])
        return [
            json.dumps({"__type": code, "message": "it was scheduled for deletion, canary-7f3a"}).encode()
        ]

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    monkeypatch.setattr(aws_secrets_manager, "_GONE_SECONDS", (0.01,))
    with remote_secrets.served(application) as url:
        manager = AWSSecretsManager(name="vault", endpoint_url=url)
        shown = said(manager.register_secret, secret("db", password="canary-7f3a"))
    assert message in shown
    assert "canary" not in shown


def test_aws_without_credentials(moto_url: str, monkeypatch, tmp_path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    assert "there are no credentials. They are looked for as the AWS tools do" in said(
        AWSSecretsManager(name="vault", endpoint_url=moto_url).get_all_secret_keys
    )


# Google Cloud, by a fake


@pytest.fixture
def google(cloud, tmp_path, monkeypatch) -> SimpleNamespace:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cloud.authority))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    (tmp_path / "key.json").write_text(cloud.fake.account)

    def make(**fields) -> GCPSecretsManager:
        return GCPSecretsManager(**{"name": "vault", "project_id": PROJECT, "endpoint": cloud.url, **fields})

    return SimpleNamespace(fake=cloud.fake, make=make, key=tmp_path / "key.json")


def test_gcp_lists_all_pages_and_its_own_secrets_only(google) -> None:
    manager, other = google.make(), google.make(prefix="zenml-2")
    names = [f"s{number}" for number in range(8)]
    for name in names:
        manager.register_secret(secret(name, x="1"))
    other.register_secret(secret("other", x="1"))
    assert manager.get_all_secret_keys() == names
    assert google.fake.pages == 3
    assert other.get_all_secret_keys() == ["other"]
    assert set(google.fake.secrets) == {*(f"zenml_{name}" for name in names), "zenml-2_other"}


def test_gcp_takes_over_what_was_left_half_made(google) -> None:
    manager = google.make()
    manager.register_secret(secret("db", x="1"))
    del google.fake.secrets["zenml_db"]["versionAliases"]
    assert manager.get_all_secret_keys() == []
    with pytest.raises(DoesNotExistException):
        manager.get_secret("db")
    manager.register_secret(secret("db", x="2"))
    assert manager.get_secret("db").content == {"x": "2"}


def test_gcp_destroys_the_version_of_who_was_late(google) -> None:
    manager = google.make()
    manager.register_secret(secret("db", x="1"))
    document, version = manager._read("db")
    manager.update_secret(secret("db", x="2"))
    assert not manager._write("db", document, version)
    assert manager.get_secret("db").content == {"x": "2"}
    assert google.fake.versions["zenml_db"][2] is None


def test_gcp_gets_a_new_token_when_its_own_has_ended(google) -> None:
    manager = google.make()
    manager.register_secret(secret("db", x="1"))
    google.fake.tokens.clear()
    assert manager.get_secret("db").content == {"x": "1"}


def test_gcp_credentials_by_reference(google, monkeypatch) -> None:
    monkeypatch.setenv("ROBOT", google.fake.account)
    google.key.unlink()
    manager = google.make(credentials="{{env.ROBOT}}")
    assert manager.get_all_secret_keys() == []
    monkeypatch.setenv("ROBOT", '{"type": "canary"}')
    with pytest.raises(SecretError, match="are no key of a service account") as caught:
        google.make(credentials="{{env.ROBOT}}").get_all_secret_keys()
    assert "canary" not in str(caught.value)


def test_what_gcp_answers_is_told(google, monkeypatch) -> None:
    manager = google.make()
    assert "there is no such project. List yours with" in said(
        google.make(project_id="other").get_all_secret_keys
    )
    google.fake.denied = True
    assert "access is denied, or there is no such project" in said(manager.get_all_secret_keys)
    google.key.write_text(
        json.dumps(json.loads(google.fake.account) | {"private_key": FakeSecretManager().private})
    )
    message = said(google.make().get_all_secret_keys)
    assert "the credentials are not accepted, or have expired. Log in with `gcloud auth" in message
    google.key.unlink()
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    assert "there are no credentials. Log in with `gcloud auth" in said(google.make().get_all_secret_keys)


@pytest.mark.parametrize(
    ("field", "value"), [("project_id", "a/b"), ("endpoint", "secretmanager.googleapis.com")]
)
def test_gcp_that_is_configured_wrongly(field, value) -> None:
    with pytest.raises(ConfigurationError, match=f"{field}: '{value}' is no "):
        GCPSecretsManager(**{"name": "vault", "project_id": "p", field: value})


# Azure, by a fake


@pytest.fixture
def azure(tmp_path, monkeypatch) -> Iterator[SimpleNamespace]:
    fake = FakeKeyVault()
    with https.served(fake, tmp_path) as authority:
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))

        def make(**fields) -> AzureSecretsManager:
            return AzureSecretsManager(
                **{"name": "vault", "key_vault_name": "my-vault", "vault_url": fake.url, **fields}
            )

        yield SimpleNamespace(fake=fake, make=make)


def test_azure_lists_all_pages_and_its_own_secrets_only(azure) -> None:
    manager, other = azure.make(), azure.make(prefix="zenml-2")
    for name in ("One", "one", "o_ne"):  # a vault has no upper case and no underscores
        manager.register_secret(secret(name, x=name, y="2"))
    other.register_secret(secret("other", x="1"))
    azure.fake.pages = 0
    assert manager.get_all_secret_keys() == ["One", "o_ne", "one"]
    assert azure.fake.pages == 4
    assert manager.get_secret("One").content == {"x": "One", "y": "2"}
    assert other.get_all_secret_keys() == ["other"]
    manager.delete_all_secrets()
    assert other.get_secret("other").content == {"x": "1"}


def test_azure_waits_for_names_that_are_being_deleted(azure) -> None:
    manager = azure.make()
    manager.register_secret(secret("db", x="1", old="canary"))
    azure.fake.delay = 2
    manager.delete_secret("db")
    manager.register_secret(secret("db", x="2"))
    assert manager.get_secret("db").content == {"x": "2"}


def test_azure_gives_up_on_names_that_stay_taken(azure, monkeypatch) -> None:
    monkeypatch.setattr(azure_secrets_manager, "_WAITS", (0, 0))
    manager = azure.make()
    manager.register_secret(secret("db", x="1"))
    azure.fake.delay = 100
    manager.delete_secret("db")
    assert "a deleted secret of that name cannot be recovered" in said(
        manager.register_secret, secret("db", x="2")
    )
    assert manager.get_all_secret_keys() == []


def test_azure_does_not_bring_back_what_a_broken_registration_left(azure) -> None:
    manager = azure.make()
    manager.register_secret(secret("db", left="1", x="1"))
    head = next(name for name, kept in azure.fake.secrets.items() if "zenml-head" in kept["tags"])
    del azure.fake.secrets[head]
    assert manager.get_all_secret_keys() == []
    manager.register_secret(secret("db", x="2"))
    assert manager.get_secret("db").content == {"x": "2"}


def test_what_azure_answers_is_told(azure, monkeypatch) -> None:
    manager = azure.make()
    assert manager.get_all_secret_keys() == []
    azure.fake.denied = True
    assert "access is denied. Who uses it needs the role 'Key Vault Secrets Officer'" in said(
        manager.get_secret, "db"
    )
    azure.fake.identity = "another"
    assert "the credentials are missing, not accepted or expired. Log in with `az login`" in said(
        azure.make().get_all_secret_keys
    )


def test_azure_that_is_configured_wrongly() -> None:
    with pytest.raises(ConfigurationError, match="key_vault_name: 'https://x' is no name of a vault"):
        AzureSecretsManager(name="vault", key_vault_name="https://x")
    assert (
        "https://my-vault.vault.azure.net" in AzureSecretsManager(name="v", key_vault_name="my-vault")._place
    )
