"""What is wrong with a remote side, in words: whatever its library raises is told as one kind of trouble, with what to do about it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from zenml.exceptions import ArtifactStoreDeniedError, ArtifactStoreError, ZenMLBaseException, sentence

logger = logging.getLogger(__name__)

_LONGEST = 200
_DEEPEST = 10

_CERTIFICATE = "the certificate of {there} is not trusted. Is it the right server? An authority of your own is named by {authority}."
_TIMEOUT = "{there} did not answer in time. Is it reachable from here, and is its address right? {address}"
_REFUSED = "nothing answers at {there}. Is the service running, and is its address right? {address}"
_CREDENTIALS = "the credentials are missing or not accepted. {credentials}"
_EXPIRED = "the credentials have expired: get new ones. {credentials}"
_CLOCK = "the clock of this machine differs too much from that of {there}: set it right."
_CONTAINER = "{container} does not exist. Make it, or set another path: it is not made for you."
_DENIED = "access is denied. The credentials must be right, and have the right to list, read, write and delete there. {credentials}"
_FAILED = "the request failed."

# The first of these that any error of the chain has, by the name of one of its classes or by the code that the service gave.
_KINDS: tuple[tuple[str, frozenset[str]], ...] = (
    (
        _CERTIFICATE,
        frozenset({"SSLError", "ClientConnectorCertificateError", "ClientConnectorSSLError", "CertificateError"}),
    ),
    (
        _EXPIRED,
        frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}),
    ),
    (_CLOCK, frozenset({"RequestTimeTooSkewed"})),
    (
        _CREDENTIALS,
        frozenset(
            {
                *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError"),
                *("InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "InvalidClientTokenId"),
                *("GoogleAuthError", "ClientAuthenticationError", "CredentialUnavailableError"),
                *("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation", "401"),
            }
        ),
    ),
    (
        _CONTAINER,
        frozenset({"NoSuchBucket", "InvalidBucketName", "ContainerNotFound", "InvalidResourceName", "FileNotFoundError"}),
    ),
    (
        _DENIED,
        frozenset(
            {
                *("PermissionError", "AccessDenied", "Forbidden", "AllAccessDisabled", "403"),
                *("AuthorizationFailure", "AuthorizationPermissionMismatch", "InsufficientAccountPermissions"),
            }
        ),
    ),
    (
        _TIMEOUT,
        frozenset(
            {
                *("TimeoutError", "ConnectTimeoutError", "ReadTimeoutError", "FSTimeoutError"),
                *("ServiceRequestTimeoutError", "ServiceResponseTimeoutError", "RequestTimeout"),
            }
        ),
    ),
    (
        _REFUSED,
        frozenset(
            {
                *("ConnectionError", "EndpointConnectionError", "ClientConnectionError", "HTTPClientError"),
                *("gaierror", "ServiceRequestError", "ServiceResponseError", "NoValidConnectionsError"),
            }
        ),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Remote:
    """What can be said about a remote side, and about how to set it right; each hint is a part of a sentence, or a sentence.

    `what` names it as the subject of a sentence.
    """

    what: str
    there: str
    container: str = "The place that the path names"
    address: str = ""
    credentials: str = ""
    authority: str = "the environment variable SSL_CERT_FILE"
    ends: float | None = None
    """When the credentials expire, in seconds since the epoch, where that is known: services seldom say that it was this."""

    @contextmanager
    def told(self) -> Iterator[None]:
        """Let whatever the library raises be an ArtifactStoreError; what says that a file or folder is missing or in the way goes on."""
        try:
            yield
        except (
            FileNotFoundError,
            FileExistsError,
            IsADirectoryError,
            NotADirectoryError,
            ZenMLBaseException,
        ):
            raise
        except Exception as error:  # noqa: BLE001 - each library has errors of its own
            raise self.error(error) from None

    def error(self, error: BaseException) -> ArtifactStoreError:
        """What is raised for an error of the library."""
        logger.debug("%s", self.what, exc_info=error)
        chain = list(_chain(error))
        names = {name for one in chain for name in _names(one)}
        kind = next((kind for kind, known in _KINDS if known & names), _FAILED)
        if kind in (_CREDENTIALS, _DENIED) and self.ends is not None and self.ends <= time.time():
            kind = _EXPIRED
        reason = kind.format_map(vars(self)).rstrip()
        message = f"{self.what} cannot be used: {reason} The answer was: {sentence(_shown(chain))}"
        return (ArtifactStoreDeniedError if kind is _DENIED else ArtifactStoreError)(message)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_DEEPEST):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _names(error: BaseException) -> Iterator[str]:
    for class_ in type(error).__mro__:
        yield class_.__name__
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        yield str(response.get("Error", {}).get("Code"))
    for attribute in ("error_code", "status_code", "code"):  # azure.core, azure.core, gcsfs
        yield str(getattr(error, attribute, None))
    text = str(error)
    if text.startswith("Forbidden: "):  # gcsfs
        yield "Forbidden"


def _shown(chain: list[BaseException]) -> str:
    """The first line of the most telling error: the outermost one that says anything."""
    text = next((text for one in chain if (text := str(one).strip())), type(chain[0]).__name__)
    line = text.splitlines()[0]
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
