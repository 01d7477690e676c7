"""What every secrets manager does."""

from __future__ import annotations

import base64
import json
import logging
import string
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from zenml.container_registries import DefaultContainerRegistry
from zenml.exceptions import DoesNotExistException, SecretError, SecretExistsError
from zenml.secret import ArbitrarySecretSchema, BaseSecretSchema
from zenml.secret.schemas import AWSSecretSchema, BasicAuthSecretSchema, MYSQLSecretSchema
from zenml.testing.conformance.suite import Suite, assert_healthy, thorough, undefined

if TYPE_CHECKING:
    from zenml.secrets_managers import BaseSecretsManager

CANARY = 'cänary/+ "7f3a9"\n🔑'

NAMES = st.text(string.ascii_letters + string.digits + "_äß語", min_size=1, max_size=20).filter(
    lambda name: name != "env"
)
KEYS = st.text(min_size=1, max_size=20).filter(lambda key: key != "name")
CONTENTS = st.dictionaries(KEYS, st.text(max_size=50), max_size=4)


def any_secret(name: str, **content: str) -> ArbitrarySecretSchema:
    """A secret of any keys."""
    return ArbitrarySecretSchema(name=name, arbitrary_kv_pairs=content)


class SecretsManagerConformance(Suite):
    """The duties of `BaseSecretsManager`. `manager` is one that has no secret yet; it is emptied."""

    @pytest.fixture
    def manager(self) -> BaseSecretsManager:
        """The manager under test."""
        undefined(self, "manager", "a secrets manager without secrets")

    def test_a_check_passes(self, manager: BaseSecretsManager) -> None:
        assert_healthy(manager)

    @thorough(25)
    @given(secrets=st.dictionaries(NAMES, CONTENTS, max_size=4))
    def test_any_text_comes_back_as_it_was(
        self, manager: BaseSecretsManager, secrets: dict[str, dict[str, str]]
    ) -> None:
        manager.delete_all_secrets()
        for name, content in secrets.items():
            manager.register_secret(any_secret(name, **content))
        assert manager.get_all_secret_keys() == sorted(secrets)
        assert {name: manager.get_secret(name).content for name in secrets} == secrets

    @pytest.mark.parametrize(
        "secret",
        [
            any_secret("any", one="1", two=""),
            AWSSecretSchema(name="aws", aws_access_key_id="id", aws_secret_access_key="key"),
            BasicAuthSecretSchema(name="login", username="ann", password=CANARY),
            MYSQLSecretSchema(name="mysql", user="ann", ssl_verify_server_cert=True),
        ],
        ids=lambda secret: secret.TYPE,
    )
    def test_a_secret_keeps_its_schema(self, manager: BaseSecretsManager, secret: BaseSecretSchema) -> None:
        manager.register_secret(secret)
        assert manager.get_secret(secret.name) == secret
        assert type(manager.get_secret(secret.name)) is type(secret)

    def test_a_name_can_be_taken_once(self, manager: BaseSecretsManager) -> None:
        manager.register_secret(any_secret("db", password="first"))
        with pytest.raises(
            SecretExistsError, match=f"The secret 'db' already exists in the secrets manager '{manager.name}'"
        ) as error:
            manager.register_secret(any_secret("db", password=CANARY))
        assert CANARY not in str(error.value)
        assert manager.get_secret("db").content == {"password": "first"}

    def test_an_update_touches_the_keys_that_it_names(self, manager: BaseSecretsManager) -> None:
        manager.register_secret(any_secret("db", user="ann", password="old"))
        manager.update_secret(any_secret("db", password="new", host="here"))
        assert manager.get_secret("db").content == {"user": "ann", "password": "new", "host": "here"}

    def test_an_update_leaves_the_schema(self, manager: BaseSecretsManager) -> None:
        manager.register_secret(BasicAuthSecretSchema(name="login", username="ann", password="old"))
        manager.update_secret(any_secret("login", password="new"))
        assert manager.get_secret("login") == BasicAuthSecretSchema(
            name="login", username="ann", password="new"
        )
        with pytest.raises(
            SecretError, match="pasword: the schema has no such key. Did you mean 'password'?"
        ):
            manager.update_secret(any_secret("login", pasword=CANARY))
        assert manager.get_secret("login").content == {"username": "ann", "password": "new"}

    def test_an_update_with_another_schema_takes_it(self, manager: BaseSecretsManager) -> None:
        manager.register_secret(any_secret("login", username="ann"))
        manager.update_secret(BasicAuthSecretSchema(name="login", username="bob", password="x"))
        assert type(manager.get_secret("login")) is BasicAuthSecretSchema

    @pytest.mark.parametrize("verb", ["get_secret", "delete_secret", "update_secret"])
    def test_an_unknown_name_is_refused_with_the_nearest(
        self, manager: BaseSecretsManager, verb: str
    ) -> None:
        manager.register_secret(any_secret("database", password="x"))
        argument = any_secret("databse", x="1") if verb == "update_secret" else "databse"
        with pytest.raises(
            DoesNotExistException,
            match=f"The secrets manager '{manager.name}' has no secret 'databse'. Did you mean 'database'?",
        ):
            getattr(manager, verb)(argument)
        assert manager.get_all_secret_keys() == ["database"]

    def test_what_is_deleted_is_gone(self, manager: BaseSecretsManager) -> None:
        for name in ("one", "two", "three"):
            manager.register_secret(any_secret(name, x="1"))
        manager.delete_secret("two")
        assert manager.get_all_secret_keys() == ["one", "three"]
        manager.delete_all_secrets()
        assert manager.get_all_secret_keys() == []
        manager.delete_all_secrets()
        manager.register_secret(any_secret("two", x="2"))
        assert manager.get_secret("two").content == {"x": "2"}

    def test_writers_at_the_same_time_lose_nothing(self, manager: BaseSecretsManager) -> None:
        manager.register_secret(any_secret("shared"))

        def write(number: int) -> None:
            manager.register_secret(any_secret(f"own{number}", x="1"))
            manager.update_secret(any_secret("shared", **{f"key{number}": "1"}))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(write, range(16)))
        assert len(manager.get_all_secret_keys()) == 17
        assert len(manager.get_secret("shared").content) == 16

    def test_a_literal_is_moved_into_a_secret(self, manager: BaseSecretsManager) -> None:
        registry = DefaultContainerRegistry(
            name="images", uri="localhost:5000", username="ann", password=SecretStr(CANARY)
        )
        kept = manager.keep_literals(registry)
        assert kept.to_record().configuration["password"] == "{{images_container_registry.password}}"
        assert kept.uuid == registry.uuid
        assert manager.get_secret("images_container_registry").content == {"password": CANARY}
        assert kept.bound(lambda name, key: manager.get_secret(name).content[key]).credentials == (
            "ann",
            CANARY,
        )

        manager.keep_literals(kept.updated({"password": "another"}))
        assert manager.get_secret("images_container_registry").content == {"password": "another"}
        assert manager.keep_literals(kept) is kept

    def test_no_byte_shows_a_value(
        self, manager: BaseSecretsManager, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        shown = [repr(manager)]

        def attempt(verb: Callable[..., Any], *arguments: Any, **fields: Any) -> None:
            try:
                result = verb(*arguments, **fields)
            except Exception as error:  # noqa: BLE001 - of whatever kind, its text is what matters
                shown.append("".join(traceback.format_exception(error)))
            else:
                shown.append(repr(result))

        secret = any_secret("db", password=CANARY)
        attempt(manager.register_secret, secret)
        attempt(manager.register_secret, secret)
        attempt(manager.get_secret, "db")
        attempt(manager.update_secret, any_secret("db", password=CANARY, more=CANARY))
        attempt(manager.update_secret, BasicAuthSecretSchema(name="nothing", username="u", password=CANARY))
        attempt(manager.register_secret, BasicAuthSecretSchema(name="login", username="u", password=CANARY))
        attempt(manager.update_secret, any_secret("login", wrong=CANARY))
        attempt(BasicAuthSecretSchema, name="login", username=CANARY, pasword=CANARY)
        on_disk = _bytes_of(manager)
        attempt(manager.delete_secret, "login")
        attempt(manager.delete_all_secrets)
        on_disk += _bytes_of(manager)

        said = capfd.readouterr()
        for text in ("\n".join(shown), caplog.text, said.out, said.err):
            on_disk += text.encode()
        for form in forms(CANARY):
            assert form not in on_disk


def forms(secret: str) -> list[bytes]:
    """What a secret looks like in files: as it is, and in the encodings that it may be written in."""
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


def _bytes_of(manager: BaseSecretsManager) -> bytes:
    if manager.local_path is None:
        return b""
    return b"\n".join(path.read_bytes() for path in Path(manager.local_path).rglob("*") if path.is_file())
