"""Requests to a container registry (https://distribution.github.io/distribution/spec/api/)."""

from __future__ import annotations

import base64
import json
import re
from email.message import Message
from http.client import HTTPException
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin
from urllib.request import HTTPRedirectHandler, Request, build_opener

from zenml.exceptions import StoreError

if TYPE_CHECKING:
    from zenml.container_registries.base_container_registry import BaseContainerRegistry

_TIMEOUT = 10.0
_PARAMETER = re.compile(r'(\w+)="([^"]*)"')
_HOSTS = {"docker.io": "registry-1.docker.io"}
_UNAUTHORIZED = 401
_FORBIDDEN = 403
_NOT_FOUND = 404
_MANIFESTS = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
)


class _NoDetours(HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none: the password would go along."""


_opener = build_opener(_NoDetours)


def address(registry: BaseContainerRegistry) -> str:
    """The URL of the registry's interface."""
    host = registry.uri.partition("/")[0]
    # As the engines that push and pull do, which trust their own machine.
    return f"{'http' if registry.is_local else 'https'}://{_HOSTS.get(host, host)}/v2/"


def challenge_of(url: str, authorization: str = "") -> str:
    """How the registry wants to know who is there; empty if it lets us in. Raises StoreError."""
    status, headers = _ask(url, authorization, "GET")
    if status == _UNAUTHORIZED:
        return headers.get("WWW-Authenticate") or "Basic"
    if status is not None:
        hint = ": no registry (version 2) is there" if status == _NOT_FOUND else ""
        raise StoreError(f"{url} answers with the status {status}{hint}.")
    return ""


def authorization(url: str, challenge: str, credentials: tuple[str, str] | None, scope: str = "") -> str:
    """What answers the challenge of the registry at `url`, for a header; empty if it wants a user and there is none.

    Raises:
        StoreError: the user and the password are refused where tokens are given, or cannot be sent there safely.
    """
    scheme, _, rest = challenge.partition(" ")
    basic = "Basic " + base64.b64encode(":".join(credentials).encode()).decode() if credentials else ""
    if scheme.lower() != "bearer":
        return basic
    parameters = dict(_PARAMETER.findall(rest))
    realm = parameters.get("realm", "")
    if not realm.startswith(("https://", *(["http://"] if url.startswith("http://") else []))):
        raise StoreError(f"It sends users to {realm!r} for a token, where a password cannot safely go.")
    query = {"service": parameters.get("service", ""), "account": "zenml"}
    if scope:
        query["scope"] = scope
    try:
        request = Request(  # noqa: S310 - checked above
            f"{realm}?{urlencode(query)}", headers={"Authorization": basic} if basic else {}
        )
        with _opener.open(request, timeout=_TIMEOUT) as answer:
            document = json.load(answer)
    except HTTPError as error:
        with error:
            raise StoreError(f"It refuses the user and the password (status {error.code}).") from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise StoreError(f"{realm} gives no token: {error}.") from None
    return f"Bearer {document.get('token') or document.get('access_token')}"


def has_image(registry: BaseContainerRegistry, image: str) -> bool:
    """Whether the registry has an image of that name and tag.

    Raises:
        StoreError: it cannot be asked; the message says what to do.
    """
    repository, _, tag = image.partition("/")[2].rpartition(":")
    place = f"{address(registry)}{repository}/manifests/{tag}"
    status, _ = _ask_as_user(registry, place, "HEAD", repository, "pull")
    if status not in (None, _NOT_FOUND):
        raise StoreError(f"{place} answers with the status {status}: is the uri of '{registry.name}' right?")
    return status is None


def check_push(registry: BaseContainerRegistry, repository: str) -> None:
    """Begin to push to a repository, and end it again.

    Raises:
        StoreError: the registry does not let us.
    """
    place = f"{address(registry)}{repository}/blobs/uploads/"
    status, headers = _ask_as_user(registry, place, "POST", repository, "pull,push")
    if status is not None:
        hint = f": is there a repository {repository!r}?" if status == _NOT_FOUND else ""
        raise StoreError(f"{place} answers with the status {status}{hint}.")
    upload = urljoin(place, headers.get("Location", ""))
    if upload.startswith(address(registry)):  # else the registry itself ends it, in time
        _ask_as_user(registry, upload, "DELETE", repository, "pull,push")


def _ask_as_user(
    registry: BaseContainerRegistry, url: str, method: str, repository: str, actions: str
) -> tuple[int | None, Message]:
    base, credentials = address(registry), registry.credentials
    try:
        # Most registries that ask who is there take a password at once, without being asked for it.
        status, headers = _ask(url, authorization(base, "Basic", credentials), method)
        challenge = headers.get("WWW-Authenticate", "")
        if status == _UNAUTHORIZED and challenge.lower().startswith("bearer"):
            scope = f"repository:{repository}:{actions}"
            status, headers = _ask(url, authorization(base, challenge, credentials, scope), method)
    except StoreError as error:
        raise StoreError(
            f"The container registry '{registry.name}' cannot be used: {error} Is it running, and are its uri, user and password right?"
        ) from None
    if status in (_UNAUTHORIZED, _FORBIDDEN):
        said = "refuses its user and password" if credentials else "asks for a user and a password"
        raise StoreError(
            f"The container registry '{registry.name}' at {registry.uri} {said}. Give those that may push there, with "
            f"`zenml container-registry update {registry.name} --username=... --password=...`."
        )
    return status, headers


def _ask(url: str, authorization: str, method: str) -> tuple[int | None, Message]:
    """The status of a refusal, None if there is none, and the headers of the answer. Raises StoreError."""
    headers = {"Accept": _MANIFESTS} | ({"Authorization": authorization} if authorization else {})
    request = Request(url, headers=headers, method=method)  # noqa: S310 - the scheme is ours
    try:
        with _opener.open(request, timeout=_TIMEOUT) as answer:
            return None, answer.headers
    except HTTPError as error:
        with error:
            return error.code, error.headers
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise StoreError(f"{url} cannot be reached: {reason}.") from None
