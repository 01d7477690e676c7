"""Stack components: their configuration, their secrets, their hooks."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import SecretStr

from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, ProvisioningError, SecretError, StackComponentInterfaceError
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Public, Secret, StackComponent

CANARY = "correct horse battery staple"


class Engine(LocalOrchestrator):
    FLAVOR: ClassVar[str] = "engine"

    url: str
    port: int = 80
    password: str | None = None
    api_key: SecretStr | None = None
    credentials: Annotated[str, Secret()] = ""
    partition_key: Annotated[str, Public()] = ""
    options: dict[str, str] = {}
    _cache: dict[str, int] = {}


def test_serialization_leaves_out_name_uuid_private_attributes_and_what_was_left_at_none() -> None:
    engine = Engine(name="e", url="u", options={"a": "b"})
    record = engine.to_record()
    assert record.configuration == {
        "url": "u",
        "port": 80,
        "credentials": "",
        "partition_key": "",
        "options": {"a": "b"},
        "max_workers": 1,
        "resources": {},
        "grace_seconds": 5.0,
    }
    assert Engine.from_record(record) == engine


def test_every_mistake_is_reported_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Engine(name="e", port="many", prot=1)
    assert str(caught.value) == (
        "The orchestrator 'e' of flavor 'engine' cannot be configured so:\n"
        "  url: is required, but it is not given.\n"
        "  port: Input should be a valid integer, unable to parse string as an integer.\n"
        "  prot: the flavor 'engine' has no such field. Did you mean 'port'?"
    )


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "-x", "a\nb", "a\0b", " a", "a ", "x" * 200])
def test_a_name_cannot_leave_its_place(name: str) -> None:
    with pytest.raises(ConfigurationError, match="name: .*cannot be the name of a stack component"):
        LocalOrchestrator(name=name)


def test_a_class_must_say_what_it_is() -> None:
    class Nothing(StackComponent):
        pass

    with pytest.raises(StackComponentInterfaceError, match="'.*Nothing' must set the class variable TYPE"):
        Nothing(name="n")


def test_a_component_does_not_change() -> None:
    engine = Engine(name="e", url="u")
    with pytest.raises(Exception, match="frozen"):
        engine.url = "v"
    assert engine.updated({"url": "v"}).url == "v"
    assert engine.updated({"url": "v"}).uuid == engine.uuid


def test_secret_fields_are_known_by_type_by_mark_and_by_name() -> None:
    assert Engine.secret_fields() == {"password", "api_key", "credentials"}


@pytest.mark.parametrize("field", ["password", "api_key", "credentials"])
def test_a_secret_in_clear_is_never_kept_nor_shown(field: str) -> None:
    engine = Engine(name="e", url="u", **{field: CANARY})
    assert engine.literal_secrets() == {field: CANARY}
    with pytest.raises(SecretError, match=rf"zenml secret register e --{field}=") as caught:
        engine.to_record()
    assert CANARY not in str(caught.value) + repr(engine) + str(engine)


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Engine(name="e", url="u", password=[CANARY])
    assert CANARY not in str(caught.value)


def test_a_reference_is_resolved_when_it_is_read_and_never_kept_resolved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PORT", "8080")
    engine = Engine(
        name="e",
        url="db://{{login.user}}@host",
        port="{{env.PORT}}",
        api_key="{{login.key}}",
        options={"a": "{{login.user}}"},
    ).bound(lambda name, key: f"{name}-{key}")
    assert engine.url == "db://login-user@host"
    assert engine.port == 8080
    assert engine.options == {"a": "login-user"}
    assert engine.api_key is not None
    assert engine.api_key.get_secret_value() == "login-key"
    assert engine.to_record().configuration["port"] == "{{env.PORT}}"
    assert "8080" not in repr(engine)


def test_what_a_reference_stands_for_is_validated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", CANARY)
    engine = Engine(name="e", url="u", port="{{env.PORT}}")
    with pytest.raises(
        ConfigurationError, match=r"'\{\{env.PORT\}\}' refers to cannot be the port"
    ) as caught:
        _ = engine.port
    assert CANARY not in str(caught.value)


def test_a_reference_that_leads_nowhere_says_what_to_do() -> None:
    engine = Engine(name="e", url="{{env.ABSENT}}", password="{{login.key}}")
    with pytest.raises(SecretError, match="'ABSENT' is not set"):
        _ = engine.url
    with pytest.raises(SecretError, match="zenml stack update"):
        _ = engine.password


@pytest.mark.parametrize("action", ["provision", "deprovision", "resume", "suspend"])
def test_a_component_without_resources_says_so(action: str) -> None:
    with pytest.raises(ProvisioningError, match=f"'o' of flavor 'local' has no resources to {action}"):
        getattr(LocalOrchestrator(name="o"), action)()


def test_equality_is_by_configuration() -> None:
    engine = Engine(name="e", url="{{env.X}}")
    assert engine == engine.bound(lambda name, key: "")
    assert engine != Engine(name="e", url="{{env.X}}")
    assert len({engine, engine.bound(lambda name, key: "")}) == 1


def test_older_and_newer_records_lose_nothing() -> None:
    record = Engine(name="e", url="u").to_record()
    from dataclasses import replace

    newer: Any = replace(record, configuration={**record.configuration, "added": 1})
    with pytest.raises(ConfigurationError, match="added: the flavor 'engine' has no such field"):
        Engine.from_record(newer)
    older = replace(record, configuration={})
    with pytest.raises(ConfigurationError, match="url: is required"):
        Engine.from_record(older)
    assert record.type is StackComponentType.ORCHESTRATOR
