"""Whether a container registry answers and lets us in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zenml.container_registries.api import address, authorization, challenge_of
from zenml.enums import CheckOutcome
from zenml.exceptions import StoreError, ZenMLBaseException
from zenml.stack.checks import Check, failure

if TYPE_CHECKING:
    from zenml.container_registries.base_container_registry import BaseContainerRegistry


def check_login(registry: BaseContainerRegistry) -> Iterator[Check]:
    """Whether the registry answers at all, then whether it takes our user and password, if there are any."""
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
    if credentials is None:
        if challenge.lower().startswith("basic"):
            command = f"zenml container-registry update {registry.name}"
            yield Check(
                "login",
                CheckOutcome.FAILED,
                "It asks for a user and a password, and none is configured.",
                f"Give them with `{command} --username=... --password=...`.",
            )
        return
    if not challenge:
        return
    refused: StoreError | None = None
    try:
        if challenge_of(url, authorization(url, challenge, credentials)):
            refused = StoreError("It refuses the user and the password.")
    except StoreError as error:
        refused = error
    if refused is None:
        yield Check("login")
    else:
        yield failure("login", refused, "Are the user and the password right, and still valid?")
