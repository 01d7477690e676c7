"""Whether a container registry answers and lets us in (https://distribution.github.io/distribution/spec/api/)."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPRedirectHandler, Request, build_opener

from zenml.enums import CheckOutcome
from zenml.exceptions import StoreError, ZenMLBaseException
from zenml.stack.checks import Check, failure

if TYPE_CHECKING:
    from zenml.container_registries.base_container_registry import BaseContainerRegistry

_TIMEOUT = 10.0
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_HOSTS = {"docker.io": "registry-1.docker.io"}
_UNAUTHORIZED = 401
_NOT_FOUND = 404


class _NoDetours(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none: the password would go along."""


_opener = build_opener(_NoDetours)


def check_login(registry: BaseContainerRegistry) -> Iterator[Check]:
    """Whether the registry answers at all, then whether it takes our user and password, if there are any."""
    host = registry.uri.partition("/")[0]
    # As the engines that push and pull do, which trust their own machine.
    url = f"{'http' if registry.is_local else 'https'}://{_HOSTS.get(host, host)}/v2/"
    try:
        challenge = _challenge(url)
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
    try:
        _log_in(url, challenge, "Basic " + base64.b64encode(":".join(credentials).encode()).decode())
    except StoreError as error:
        yield failure("login", error, "Are the user and the password right, and still valid?")
    else:
        yield Check("login")


def _challenge(url: str, authorization: str = "") -> str:
    """How the registry wants to know who is there; empty if it lets us in. Raises StoreError."""
    headers = {"Authorization": authorization} if authorization else {}
    try:
        with _opener.open(Request(url, headers=headers), timeout=_TIMEOUT):  # noqa: S310 - the scheme is ours
            return ""
    except HTTPError as error:
        with error:
            if error.code == _UNAUTHORIZED:
                return str(error.headers.get("WWW-Authenticate", "Basic"))
            hint = ": no registry (version 2) is there" if error.code == _NOT_FOUND else ""
            raise StoreError(f"{url} answers with the status {error.code}{hint}.") from None
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise StoreError(f"{url} cannot be reached: {reason}.") from None


def _log_in(url: str, challenge: str, basic: str) -> None:
    scheme, _, rest = challenge.partition(" ")
    if scheme.lower() != "bearer":
        if _challenge(url, basic):
            raise StoreError("It refuses the user and the password.")
        return
    parameters = dict(_PARAMETER.findall(rest))
    realm = parameters.get("realm", "")
    if not realm.startswith(("https://", *(["http://"] if url.startswith("http://") else []))):
        raise StoreError(f"It sends users to {realm!r} for a token, where a password cannot safely go.")
    query = urlencode({"service": parameters.get("service", ""), "account": "zenml"})
    try:
        request = Request(f"{realm}?{query}", headers={"Authorization": basic})  # noqa: S310 - checked above
        with _opener.open(request, timeout=_TIMEOUT) as answer:
            document = json.load(answer)
    except HTTPError as error:
        with error:
            raise StoreError(f"It refuses the user and the password (status {error.code}).") from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise StoreError(f"{realm} gives no token: {error}.") from None
    token = document.get("token") or document.get("access_token")
    if not token or _challenge(url, f"Bearer {token}"):
        raise StoreError("It refuses the token that the user and the password gave.")
