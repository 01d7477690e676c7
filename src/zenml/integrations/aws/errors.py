"""What errors of the AWS library mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from botocore.exceptions import (
    ClientError,
    ConnectionError,  # noqa: A004  the library's own word
    HTTPClientError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from zenml.exceptions import RunError
from zenml.jobs import EngineUnreachableError, unusable

_SEE = "They are looked for as the AWS tools do: AWS_ACCESS_KEY_ID, a profile, the role of this machine."

_CREDENTIALS = frozenset(
    {
        *("UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException"),
        *("SignatureDoesNotMatch", "MissingAuthenticationTokenException", "IncompleteSignature"),
    }
)
_EXPIRED = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired"})
DENIED = frozenset({"AccessDeniedException", "AccessDenied"})
_BUSY = frozenset({"ThrottlingException", "Throttling", "TooManyRequestsException", "RequestLimitExceeded"})
_ERROR_OF_SERVER = 500


def explained(error: Exception, service: str, what: str, remedies: Mapping[str, str]) -> RunError:
    """What an error of the AWS library means, and what to do about it: by its code in `remedies`, where that depends on the service."""
    code = code_of(error)
    unreachable = isinstance(error, (ConnectionError, HTTPClientError))
    busy = code in _BUSY or _status(error) >= _ERROR_OF_SERVER
    if code in _EXPIRED or isinstance(error, (TokenRetrievalError, UnauthorizedSSOTokenError)):
        reason = "the credentials have expired. Renew them, as by `aws sso login`."
    elif code in _CREDENTIALS or isinstance(error, (NoCredentialsError, PartialCredentialsError)):
        reason = f"the credentials are missing or not accepted. {_SEE}"
    elif isinstance(error, ProfileNotFound):
        reason = "there is no such profile in ~/.aws. Set the field `profile_name` to one that is, or make it by `aws configure`."
    elif isinstance(error, NoRegionError):
        reason = "there is no region. Set the field `region_name`, or AWS_DEFAULT_REGION."
    elif remedy := remedies.get("AccessDenied" if code in DENIED else code):
        reason = remedy
    elif unreachable:
        reason = "nothing answers there. Are the region and the network right?"
    elif busy:
        reason = "it is busy. Try again later."
    else:
        reason = "the request failed."
    kind = EngineUnreachableError if unreachable or busy else RunError
    return kind(unusable(service, what, reason, str(error)))


@contextmanager
def reached(explain: Callable[[Exception], RunError]) -> Iterator[None]:
    """Whatever is wrong while jobs run may be right a moment later: credentials that are renewed, a network that comes back."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  explained where it is known
        raise EngineUnreachableError(str(explain(error))) from None


def code_of(error: Exception) -> str:
    """The service's code of an error; empty where the error is not the service's."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def _status(error: Exception) -> int:
    if not isinstance(error, ClientError):
        return 0
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
