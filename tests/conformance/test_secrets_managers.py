"""What every secrets manager does. Add a manager to `MANAGERS`: a function that gives a new, empty one each time."""

import base64
import json
import logging
import string
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import ClassVar
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zenml.container_registries import DefaultContainerRegistry
from zenml.exceptions import DoesNotExistException, SecretError, SecretExistsError
from zenml.secret import ArbitrarySecretSchema, BaseSecretSchema
from zenml.secret.schemas import AWSSecretSchema, BasicAuthSecretSchema, MYSQLSecretSchema
from zenml.secrets_managers import BaseSecretsManager, LocalSecretsManager

CANARY = 'cänary/+ "7f3a9"\n🔑'

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


MANAGERS = {
    "local": lambda: LocalSecretsManager(name="vault"),
    "memory": lambda: MemorySecretsManager(name="vault"),
}


@pytest.fixture(params=MANAGERS)
def new_manager(request):
    return MANAGERS[request.param]


@pytest.fixture
def manager(new_manager):
    return new_manager()


NAMES = st.text(string.ascii_letters + string.digits + "_äß語", min_size=1, max_size=20).filter(
    lambda name: name != "env"
)
KEYS = st.text(min_size=1, max_size=20).filter(lambda key: key != "name")
CONTENTS = st.dictionaries(KEYS, st.text(max_size=50), max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(secrets=st.dictionaries(NAMES, CONTENTS, max_size=4))
def test_any_text_comes_back_as_it_was(new_manager, secrets):
    manager = new_manager()
    for name, content in secrets.items():
        manager.register_secret(ArbitrarySecretSchema(name=name, arbitrary_kv_pairs=content))
    assert manager.get_all_secret_keys() == sorted(secrets)
    assert {name: manager.get_secret(name).content for name in secrets} == secrets


@pytest.mark.parametrize(
    "secret",
    [
        ArbitrarySecretSchema(name="any", one="1", two=""),
        AWSSecretSchema(name="aws", aws_access_key_id="id", aws_secret_access_key="key"),
        BasicAuthSecretSchema(name="login", username="ann", password=CANARY),
        MYSQLSecretSchema(name="mysql", user="ann", ssl_verify_server_cert=True),
    ],
    ids=lambda secret: secret.TYPE,
)
def test_a_secret_keeps_its_schema(manager, secret):
    manager.register_secret(secret)
    assert manager.get_secret(secret.name) == secret
    assert type(manager.get_secret(secret.name)) is type(secret)


def test_a_name_can_be_taken_once(manager):
    manager.register_secret(ArbitrarySecretSchema(name="db", password="first"))
    with pytest.raises(
        SecretExistsError, match="The secret 'db' already exists in the secrets manager 'vault'"
    ) as error:
        manager.register_secret(ArbitrarySecretSchema(name="db", password=CANARY))
    assert CANARY not in str(error.value)
    assert manager.get_secret("db").content == {"password": "first"}


def test_an_update_touches_the_keys_that_it_names(manager):
    manager.register_secret(ArbitrarySecretSchema(name="db", user="ann", password="old"))
    manager.update_secret(ArbitrarySecretSchema(name="db", password="new", host="here"))
    assert manager.get_secret("db").content == {"user": "ann", "password": "new", "host": "here"}


def test_an_update_leaves_the_schema(manager):
    manager.register_secret(BasicAuthSecretSchema(name="login", username="ann", password="old"))
    manager.update_secret(ArbitrarySecretSchema(name="login", password="new"))
    assert manager.get_secret("login") == BasicAuthSecretSchema(name="login", username="ann", password="new")
    with pytest.raises(SecretError, match="pasword: the schema has no such key. Did you mean 'password'?"):
        manager.update_secret(ArbitrarySecretSchema(name="login", pasword=CANARY))
    assert manager.get_secret("login").content == {"username": "ann", "password": "new"}


def test_an_update_with_another_schema_takes_it(manager):
    manager.register_secret(ArbitrarySecretSchema(name="login", username="ann"))
    manager.update_secret(BasicAuthSecretSchema(name="login", username="bob", password="x"))
    assert type(manager.get_secret("login")) is BasicAuthSecretSchema


@pytest.mark.parametrize("verb", ["get_secret", "delete_secret", "update_secret"])
def test_an_unknown_name_is_refused_with_the_nearest(manager, verb):
    manager.register_secret(ArbitrarySecretSchema(name="database", password="x"))
    argument = ArbitrarySecretSchema(name="databse", x="1") if verb == "update_secret" else "databse"
    with pytest.raises(
        DoesNotExistException,
        match="The secrets manager 'vault' has no secret 'databse'. Did you mean 'database'?",
    ):
        getattr(manager, verb)(argument)
    assert manager.get_all_secret_keys() == ["database"]


def test_what_is_deleted_is_gone(manager):
    for name in ("one", "two", "three"):
        manager.register_secret(ArbitrarySecretSchema(name=name, x="1"))
    manager.delete_secret("two")
    assert manager.get_all_secret_keys() == ["one", "three"]
    manager.delete_all_secrets()
    assert manager.get_all_secret_keys() == []
    manager.delete_all_secrets()
    manager.register_secret(ArbitrarySecretSchema(name="two", x="2"))
    assert manager.get_secret("two").content == {"x": "2"}


def test_two_managers_share_nothing(new_manager):
    first, second = new_manager(), new_manager()
    first.register_secret(ArbitrarySecretSchema(name="db", x="1"))
    assert second.get_all_secret_keys() == []


def test_writers_at_the_same_time_lose_nothing(manager):
    manager.register_secret(ArbitrarySecretSchema(name="shared"))

    def write(number):
        manager.register_secret(ArbitrarySecretSchema(name=f"own{number}", x="1"))
        manager.update_secret(ArbitrarySecretSchema(name="shared", **{f"key{number}": "1"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(16)))
    assert len(manager.get_all_secret_keys()) == 17
    assert len(manager.get_secret("shared").content) == 16


def test_a_literal_is_moved_into_a_secret(manager):
    registry = DefaultContainerRegistry(name="images", uri="localhost:5000", username="ann", password=CANARY)
    kept = manager.keep_literals(registry)
    assert kept.to_record().configuration["password"] == "{{images_container_registry.password}}"
    assert kept.uuid == registry.uuid
    assert manager.get_secret("images_container_registry").content == {"password": CANARY}
    assert kept.bound(lambda name, key: manager.get_secret(name).content[key]).credentials == ("ann", CANARY)

    manager.keep_literals(kept.updated({"password": "another"}))
    assert manager.get_secret("images_container_registry").content == {"password": "another"}
    assert manager.keep_literals(kept) is kept


def test_what_opens_a_manager_is_not_kept_in_one(manager):
    class Remote(MemorySecretsManager):
        FLAVOR: ClassVar[str] = "remote"
        token: str

    with pytest.raises(
        SecretError, match=r"'far' holds a secret in clear in: token.*as in '\{\{env.X\}\}'"
    ) as error:
        manager.keep_literals(Remote(name="far", token=CANARY))
    assert CANARY not in str(error.value)


def test_no_byte_shows_a_value(manager, home: Path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    shown = [repr(manager)]

    def attempt(verb, *arguments):
        try:
            result = verb(*arguments)
        except Exception as error:  # noqa: BLE001 - of whatever kind, its text is what matters
            shown.append("".join(traceback.format_exception(error)))
        else:
            shown.append(repr(result))

    secret = ArbitrarySecretSchema(name="db", password=CANARY)
    attempt(manager.register_secret, secret)
    attempt(manager.register_secret, secret)
    attempt(manager.get_secret, "db")
    attempt(manager.update_secret, ArbitrarySecretSchema(name="db", password=CANARY, more=CANARY))
    attempt(manager.update_secret, BasicAuthSecretSchema(name="nothing", username="u", password=CANARY))
    attempt(manager.register_secret, BasicAuthSecretSchema(name="login", username="u", password=CANARY))
    attempt(manager.update_secret, ArbitrarySecretSchema(name="login", wrong=CANARY))
    attempt(lambda: BasicAuthSecretSchema(name="login", username=CANARY, pasword=CANARY))
    on_disk = _bytes_below(home)
    attempt(manager.delete_secret, "login")
    attempt(manager.delete_all_secrets)
    on_disk += _bytes_below(home)

    said = capfd.readouterr()
    for text in ("\n".join(shown), caplog.text, said.out, said.err):
        on_disk += text.encode()
    for form in forms(CANARY):
        assert form not in on_disk


def forms(secret: str) -> list[bytes]:
    raw = secret.encode()
    # Of base64, what is the same at each of the three alignments.
    encoded = [base64.b64encode(b"\0" * offset + raw)[4 if offset else 0 : -4] for offset in range(3)]
    return [
        raw,
        *encoded,
        quote(secret).encode(),
        json.dumps(secret).strip('"').encode(),
        raw.hex().encode(),
        repr(secret).strip("'").encode(),
    ]


def _bytes_below(folder: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
