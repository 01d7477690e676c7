"""Whether a container registry answers and lets us in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zenml.container_registries.api import address, authorization, challenge_of, check_push
from zenml.enums import CheckOutcome
from zenml.exceptions import StoreError, ZenMLBaseException
from zenml.stack.checks import Check, failure, tried

if TYPE_CHECKING:
    from zenml.container_registries.base_container_registry import BaseContainerRegistry


def check_registry(registry: BaseContainerRegistry) -> Iterator[Check]:
    """Whether the registry answers at all, takes our user and password, if there are any, and lets us push."""
    url = address(registry)
    try:
        challenge = challenge_of(url)
    except StoreError as error:
        yield failure("reachable", error, "Is the registry running, and is the uri right?")
        return
    yield Check("reachable")
    try:
        credentials = registry.credentials
    except ZenMLBaseException as error:
        yield failure("login", error)
        return
    if credentials is None and challenge:
        if challenge.lower().startswith("basic"):
            command = f"zenml container-registry update {registry.name}"
            yield Check(
                "login",
                CheckOutcome.FAILED,
                "It asks for a user and a password, and none is configured.",
                f"Give them with `{command} --username=... --password=...`.",
            )
        return
    if challenge:
        refused: StoreError | None = None
        try:
            if challenge_of(url, authorization(url, challenge, credentials)):
                refused = StoreError("It refuses the user and the password.")
        except StoreError as error:
            refused = error
        if refused is not None:
            yield failure("login", refused, "Are the user and the password right, and still valid?")
            return
        yield Check("login")
    # As images of steps are pushed.
    repository = f"{registry.uri}/zenml".partition("/")[2]
    yield tried("can be pushed to", lambda: check_push(registry, repository))
