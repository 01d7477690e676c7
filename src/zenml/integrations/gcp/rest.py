"""Google Cloud's services by their REST APIs: its client libraries would bring gRPC, whose import takes longer than most pipelines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from google.auth.transport.requests import AuthorizedSession, Request
from requests import Response, Session
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

SCOPE = "https://www.googleapis.com/auth/cloud-platform"
ATTEMPTS = 3
"""How often a request is made that the service did not answer."""
LOGIN = "Log in with `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a service account's key."

S = TypeVar("S", bound=Session)


def token_request() -> Request:
    """What credentials get their tokens with, in bounded time."""
    return Request(_bounded(Session()))


def authorized(credentials: Credentials, request: Request, timeout: float) -> AuthorizedSession:
    """A session whose requests carry a token of the credentials."""
    session = AuthorizedSession(  # type: ignore[no-untyped-call]  # google-auth is annotated in part
        credentials, refresh_timeout=timeout, max_refresh_attempts=1, auth_request=request
    )
    return _bounded(session)


def status(response: Response) -> str:
    """The name of an error, as NOT_FOUND."""
    return str(_error(response).get("status"))


def message(response: Response) -> str:
    """What the answer says about an error."""
    return str(_error(response).get("message") or f"{response.status_code} {response.reason}")


def _bounded(session: S) -> S:
    retry = Retry(ATTEMPTS - 1, backoff_factor=0.2, status_forcelist=(429, 502, 503), raise_on_status=False)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _error(response: Response) -> dict[str, Any]:
    """See https://cloud.google.com/apis/design/errors."""
    try:
        error = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        error = None
    return error if isinstance(error, dict) else {}
