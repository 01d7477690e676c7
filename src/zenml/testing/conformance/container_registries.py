"""What every container registry does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from zenml.exceptions import ConfigurationError, SecretError
from zenml.testing.conformance.suite import Suite, undefined
from zenml.testing.isolation import isolated_stack

if TYPE_CHECKING:
    from zenml.container_registries import BaseContainerRegistry

_LOGIN = {"login": {"username": "ann", "password": "canary"}}


class ContainerRegistryConformance(Suite):
    """The duties of `BaseContainerRegistry`. `registry` is one that is given an address alone; nothing is sent there."""

    @pytest.fixture
    def registry(self) -> BaseContainerRegistry:
        """The registry under test."""
        undefined(self, "registry", "a container registry without credentials")

    def test_a_registry_without_a_user(self, registry: BaseContainerRegistry) -> None:
        assert registry.credentials is None
        assert not registry.requires_authentication
        assert type(registry).from_record(registry.to_record()) == registry

    def test_an_address_is_kept_without_slashes_at_its_end(self, registry: BaseContainerRegistry) -> None:
        assert registry.updated({"uri": f"{registry.uri}//"}).uri == registry.uri

    def test_an_address_with_a_scheme_is_refused(self, registry: BaseContainerRegistry) -> None:
        with pytest.raises(
            ConfigurationError, match=f"has a scheme: give it without, as in '{registry.uri}'"
        ):
            registry.updated({"uri": f"https://{registry.uri}"})

    def test_an_address_with_a_password_is_refused_and_not_repeated(
        self, registry: BaseContainerRegistry
    ) -> None:
        with pytest.raises(ConfigurationError, match="it holds a user") as error:
            registry.updated({"uri": f"ann:canary@{registry.uri}"})
        assert "canary" not in str(error.value)

    def test_an_address_from_the_environment_is_known_when_it_is_used(
        self, registry: BaseContainerRegistry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        referring = registry.updated({"uri": "{{env.REGISTRY}}"})
        monkeypatch.setenv("REGISTRY", registry.uri)
        assert referring.uri == registry.uri
        monkeypatch.setenv("REGISTRY", "No Name")
        with pytest.raises(ConfigurationError, match=r"'\{\{env.REGISTRY\}\}' refers to cannot be the uri"):
            _ = referring.uri

    def test_a_user_from_a_secret_of_the_stack(self, registry: BaseContainerRegistry) -> None:
        named = registry.updated({"authentication_secret": "login"})
        referring = registry.updated({"username": "{{login.username}}", "password": "{{login.password}}"})
        for wanted in (named, referring):
            assert wanted.requires_authentication
            with isolated_stack(secrets=_LOGIN, container_registry=wanted) as stack:
                assert stack.container_registry is not None
                assert stack.container_registry.credentials == ("ann", "canary")
                assert "canary" not in repr(stack.container_registry)
            assert "canary" not in str(wanted.to_record())

    def test_a_secret_that_is_not_there(self, registry: BaseContainerRegistry) -> None:
        wanted = registry.updated({"authentication_secret": "login"})
        with isolated_stack(container_registry=wanted) as stack:
            assert stack.container_registry is not None
            with pytest.raises(
                SecretError, match="has no secrets manager that could resolve '{{login.username}}'"
            ):
                _ = stack.container_registry.credentials
        with isolated_stack(secrets={"other": {"x": "y"}}, container_registry=wanted) as stack:
            assert stack.container_registry is not None
            with pytest.raises(SecretError, match="has no secret 'login'"):
                _ = stack.container_registry.credentials

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"username": "ann"}, "username and password belong together: only the username is given"),
            ({"password": "canary"}, "username and password belong together: only the password is given"),
            (
                {"username": "ann", "password": "canary", "authentication_secret": "x"},
                "authentication_secret holds user and password: leave out password and username",
            ),
        ],
    )
    def test_halves_and_doubles_of_a_login(
        self, registry: BaseContainerRegistry, fields: dict[str, str], message: str
    ) -> None:
        with pytest.raises(ConfigurationError, match=message) as error:
            registry.updated(fields)
        assert "canary" not in str(error.value)

    def test_a_password_in_clear_is_used_but_not_kept(self, registry: BaseContainerRegistry) -> None:
        registry = registry.updated({"username": "ann", "password": "canary"})
        assert registry.credentials == ("ann", "canary")
        assert "canary" not in repr(registry)
        with pytest.raises(SecretError, match="holds a secret in clear in: password"):
            registry.to_record()
