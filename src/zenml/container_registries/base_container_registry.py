"""What every container registry has: an address, and perhaps a user and a password."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, SecretStr, model_validator

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import ConfigurationError
from zenml.stack import Public, StackComponent

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.image_builders import ImageBuilder, RegistryAccess
    from zenml.stack import Check

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
HOST = rf"{_LABEL}(?:\.{_LABEL})*"
"""A host's name, as a regular expression."""
NAME = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
"""A part of an image's name, as a regular expression (https://github.com/distribution/reference)."""

_URI = re.compile(rf"(?P<host>{HOST}|\[[0-9A-Fa-f:]+\])(?::(?P<port>\d+))?(?P<path>(?:/{NAME})*)")
_LOCAL_HOST = re.compile(r"(?:localhost|127(?:\.\d+){3}|\[::1\])(?=[:/]|$)")
_HIGHEST_PORT = 65535
_EXPECTED = "HOST[:PORT][/NAME...]"


def check_uri(uri: str) -> str:
    """The address without slashes at its end. Raises ValueError if no image's name can begin with it."""
    uri = uri.rstrip("/")
    if "@" in uri:  # not shown: a password may stand before it
        raise ValueError(f"it holds a user: expected {_EXPECTED}, and the user as username and password")
    if "://" in uri:
        raise ValueError(f"{uri!r} has a scheme: give it without, as in {uri.partition('://')[2]!r}")
    match = _URI.fullmatch(uri)
    if match is None:
        raise ValueError(
            f"{uri!r} is no address of a registry: expected {_EXPECTED}, with names in lower case"
        )
    if match["port"] and not 0 < int(match["port"]) <= _HIGHEST_PORT:
        raise ValueError(f"{uri!r} has the port {match['port']}: expected one from 1 to {_HIGHEST_PORT}")
    if not match["port"] and match["host"] != "localhost" and not {".", ":"} & set(match["host"]):
        raise ValueError(
            f"{uri!r} has no host: without a dot or a port, {match['host']!r} is a user of docker.io. Expected {_EXPECTED}"
        )
    return uri


def matching(pattern: str, expected: str) -> AfterValidator:
    """The rule that an address matches `pattern` as a whole; `expected` tells a person which ones do."""
    compiled = re.compile(pattern)

    def check(uri: str) -> str:
        uri = check_uri(uri)
        if not compiled.fullmatch(uri):
            raise ValueError(f"{uri!r} is none of this flavor: expected {expected}")
        return uri

    return AfterValidator(check)


class BaseContainerRegistry(StackComponent):
    r"""Keeps container images at a `uri`, with which their names begin.

    A registry that asks who is there gets the user and the password of the fields `username` and `password`, or those of
    the secret `authentication_secret` (of schema "basic_auth") in the stack's secrets manager. The smallest flavor that
    allows one host only:

        class MyContainerRegistry(BaseContainerRegistry):
            FLAVOR: ClassVar[str] = "mine"
            uri: Annotated[str, matching(r"registry\.example\.org/.+", "registry.example.org/NAME")]
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.CONTAINER_REGISTRY

    uri: Annotated[str, AfterValidator(check_uri)]
    username: str | None = None
    password: SecretStr | None = None
    authentication_secret: Annotated[str | None, Public()] = None

    @model_validator(mode="after")
    def _check_authentication(self) -> Self:
        given = {name for name in ("username", "password") if self.__dict__[name]}
        if given and self.authentication_secret:
            raise ValueError(
                f"authentication_secret holds user and password: leave out {' and '.join(sorted(given))}"
            )
        if len(given) == 1:
            raise ValueError(f"username and password belong together: only the {given.pop()} is given")
        return self

    @property
    def has_references(self) -> bool:
        """Whether any field refers to a secret or to the environment."""
        return super().has_references or self.authentication_secret is not None

    @property
    def reach(self) -> Reach:
        """The network; for a registry on this machine, this machine."""
        return Reach.HOST if self.is_local else Reach.NETWORK

    @property
    def is_local(self) -> bool:
        """Whether the registry is on this machine."""
        return _LOCAL_HOST.match(self.uri) is not None

    @property
    def requires_authentication(self) -> bool:
        """Whether the registry gets a user and a password."""
        return self.authentication_secret is not None or self.__dict__["username"] is not None

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, in clear. Raises SecretError if they are in a secret that cannot be read."""
        if secret := self.authentication_secret:
            lookup = self._lookup or self._no_lookup
            return lookup(secret, "username"), lookup(secret, "password")
        if self.username is None or self.password is None:
            return None
        return self.username, self.password.get_secret_value()

    @property
    def access(self) -> RegistryAccess:
        """What a builder of images needs to push here. Raises SecretError as `credentials` does."""
        from zenml.image_builders import RegistryAccess

        return RegistryAccess(self.uri.partition("/")[0], self.is_local, self.credentials)

    def has_image(self, image_name: str) -> bool:
        """Whether an image of that name and tag was pushed here.

        Raises:
            ConfigurationError: the name does not begin with the uri.
            StoreError: the registry does not answer, or refuses us.
        """
        from zenml.container_registries.api import has_image

        self._check_image(image_name)
        return has_image(self, image_name)

    def push_image(self, image_name: str, builder: ImageBuilder | None = None) -> None:
        """Push an image that `builder` has, by default the one that works on this machine.

        Raises:
            ConfigurationError: the name does not begin with the uri.
            ImageError: it cannot be pushed; the message says why.
        """
        from zenml.image_builders.choice import find_builder

        self._check_image(image_name)
        if builder is not None:
            builder.push(image_name)
            return
        with find_builder(access=self.access) as found:
            found.push(image_name)

    def _check_image(self, image_name: str) -> None:
        if not image_name.startswith(f"{self.uri}/"):
            raise ConfigurationError(
                f"The image {image_name!r} is none of the container registry '{self.name}': its name must begin with '{self.uri}/'."
            )

    def check(self) -> Iterator[Check]:
        """Ask the registry for its interface, log in, and begin to push."""
        from zenml.container_registries.checks import check_registry

        yield from self._check_state()
        yield from check_registry(self)
