import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from zenml.exceptions import ConfigurationError, SecretError, StoreError
from zenml.secret import ArbitrarySecretSchema
from zenml.secret.schemas import BasicAuthSecretSchema
from zenml.secrets_managers import LocalSecretsManager

VALUE = "canary-90ad"


@pytest.fixture
def config(tmp_path, monkeypatch) -> Path:
    folder = tmp_path / "config"
    monkeypatch.setenv("ZENML_CONFIG_PATH", str(folder))
    return folder


@pytest.fixture
def manager(config):
    manager = LocalSecretsManager(name="vault")
    manager.register_secret(ArbitrarySecretSchema(name="db", password=VALUE))
    return manager


@pytest.fixture
def file(manager, config) -> Path:
    return config / "local_stores" / str(manager.uuid) / "secrets.encrypted"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_read(manager, file, config):
    assert manager.local_path == str(file.parent)
    assert mode(file.parent) == 0o700
    assert mode(file) == mode(config / "secrets.key") == 0o600
    assert not (config / "secrets.key").is_relative_to(file.parent)


def test_a_component_of_the_same_uuid_opens_the_file(manager):
    again = LocalSecretsManager.from_record(manager.to_record())
    assert again.get_secret("db").content == {"password": VALUE}


def test_reading_makes_nothing(config):
    assert LocalSecretsManager(name="vault").get_all_secret_keys() == []
    LocalSecretsManager(name="vault").delete_all_secrets()
    assert not config.exists()


def test_the_file_can_lie_elsewhere(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manager = LocalSecretsManager(name="vault", secrets_file="mine/secrets")
    assert manager.secrets_file == str(tmp_path / "mine" / "secrets")
    manager.register_secret(ArbitrarySecretSchema(name="db", password=VALUE))
    assert LocalSecretsManager(name="other", secrets_file="mine/secrets").get_all_secret_keys() == ["db"]


def test_the_key_from_the_environment(config, monkeypatch):
    monkeypatch.setenv("ZENML_SECRETS_KEY", Fernet.generate_key().decode())
    manager = LocalSecretsManager(name="vault")
    manager.register_secret(ArbitrarySecretSchema(name="db", password=VALUE))
    assert manager.get_secret("db").content == {"password": VALUE}
    assert not (config / "secrets.key").exists()


def refused(manager, file, error, message):
    """Every verb is refused with that message, and the file stays as it is."""
    before = file.read_bytes()
    secret = ArbitrarySecretSchema(name="new", password=VALUE)
    for verb, *arguments in (
        (manager.get_secret, "db"),
        (manager.get_all_secret_keys,),
        (manager.register_secret, secret),
        (manager.update_secret, secret),
        (manager.delete_secret, "db"),
        (manager.delete_all_secrets,),
    ):
        with pytest.raises(error, match=message) as raised:
            verb(*arguments)
        assert VALUE not in str(raised.value)
    assert file.read_bytes() == before


def test_another_key(manager, file, monkeypatch):
    monkeypatch.setenv("ZENML_SECRETS_KEY", Fernet.generate_key().decode())
    refused(
        manager,
        file,
        SecretError,
        r"encrypted with another key.*set ZENML_SECRETS_KEY to the right key.*Nothing was changed",
    )
    monkeypatch.delenv("ZENML_SECRETS_KEY")
    assert manager.get_secret("db").content == {"password": VALUE}


@pytest.mark.parametrize("key", ["hunter2", "ä" * 44, "A" * 43])
def test_what_is_no_key(manager, file, monkeypatch, key):
    monkeypatch.setenv("ZENML_SECRETS_KEY", key)
    refused(
        manager,
        file,
        SecretError,
        "The environment variable ZENML_SECRETS_KEY holds no key: expected 32 random bytes",
    )


def test_a_lost_key_is_not_replaced(manager, file, config):
    (config / "secrets.key").unlink()
    refused(
        manager, file, SecretError, "There is no key to decrypt secrets with: neither ZENML_SECRETS_KEY nor"
    )
    assert not (config / "secrets.key").exists()


def test_a_changed_byte_never_gives_another_value(manager, file):
    good = file.read_bytes()
    for position in range(len(good) - 4):  # the last ones are padding
        file.write_bytes(good[:position] + bytes([good[position] ^ 1]) + good[position + 1 :])
        with pytest.raises(SecretError):
            manager.get_secret("db")
    file.write_bytes(good[:-20])
    refused(manager, file, SecretError, "the file is damaged or was tampered with.*restore it from a backup")
    file.write_bytes(good)
    assert manager.get_secret("db").content == {"password": VALUE}


def test_a_file_of_something_else(manager, file):
    file.write_bytes(b"\xff\x00 secrets: in clear")
    refused(manager, file, SecretError, "it is not in the format of encrypted secrets")


def test_a_file_of_a_newer_version(manager, file):
    file.write_bytes(file.read_bytes().replace(b"zenml-secrets 1", b"zenml-secrets 2"))
    refused(manager, file, SecretError, "were written by a newer version of this program: update it")


def test_a_folder_where_the_file_should_be(config, tmp_path):
    manager = LocalSecretsManager(name="vault", secrets_file=str(tmp_path))
    with pytest.raises(StoreError, match="cannot be read: Is a directory"):
        manager.get_secret("db")


def test_a_file_where_the_folder_should_be(config, tmp_path):
    (tmp_path / "file").write_text("")
    manager = LocalSecretsManager(name="vault", secrets_file=str(tmp_path / "file" / "secrets"))
    with pytest.raises(
        StoreError, match=r"The folder '.*file' cannot be made: (File exists|Not a directory)"
    ):
        manager.register_secret(ArbitrarySecretSchema(name="db", password=VALUE))


def test_an_unknown_field():
    with pytest.raises(
        ConfigurationError,
        match="secret_file: the flavor 'local' has no such field. Did you mean 'secrets_file'?",
    ):
        LocalSecretsManager(name="vault", secret_file="x")


def test_a_kept_secret_that_no_longer_fits_is_an_error(manager, file):
    manager.register_secret(BasicAuthSecretSchema(name="login", username="ann", password=VALUE))
    with manager._file.change() as secrets:
        del secrets["login"]["content"]["username"]
    with pytest.raises(
        SecretError, match="The secret 'login' does not fit the schema 'basic_auth':\n  username: is required"
    ) as error:
        manager.get_secret("login")
    assert VALUE not in str(error.value)
    assert manager.get_all_secret_keys() == ["db", "login"]


WRITER = """
import sys
from uuid import UUID
from zenml.secret import ArbitrarySecretSchema
from zenml.secrets_managers import LocalSecretsManager

manager = LocalSecretsManager(name="vault", uuid=UUID(sys.argv[1]))
sys.stdin.read()
for number in range(5):
    manager.register_secret(ArbitrarySecretSchema(name=f"{sys.argv[2]}-{number}", key="x"))
    manager.update_secret(ArbitrarySecretSchema(name=f"{sys.argv[2]}-{number}", more="y"))
manager.delete_secret(f"{sys.argv[2]}-0")
"""


def test_processes_at_the_same_time_make_one_key_and_lose_nothing(config):
    manager = LocalSecretsManager(name="vault")
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(manager.uuid), name], stdin=subprocess.PIPE, env=os.environ
        )
        for name in ("a", "b", "c", "d")
    ]
    for writer in writers:
        writer.stdin.close()  # they begin together
    assert [writer.wait() for writer in writers] == [0, 0, 0, 0]
    names = manager.get_all_secret_keys()
    assert names == [f"{name}-{number}" for name in "abcd" for number in range(1, 5)]
    assert {tuple(manager.get_secret(name).content.items()) for name in names} == {
        (("key", "x"), ("more", "y"))
    }
    assert [path.name for path in config.rglob("*") if path.name.startswith(".")] == []
