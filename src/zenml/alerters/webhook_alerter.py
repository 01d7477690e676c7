"""The alerter that posts to a URL."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, field_validator

from zenml.alerters.base_alerter import BaseAlerter
from zenml.exceptions import ConfigurationError
from zenml.logger import get_logger
from zenml.secret.references import has_reference
from zenml.stack import Public

if TYPE_CHECKING:
    from urllib.request import OpenerDirector, Request

logger = get_logger(__name__)

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_SECRET_HEADER = re.compile(r"authorization|cookie|token|secret|password|key", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _check_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if _CONTROL.search(text) or " " in text or not text.isascii():
        raise ValueError("expected a URL without blanks, control characters and letters outside of ASCII")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("expected a URL, as in https://HOST/PATH") from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("expected a URL that begins with https:// or http:// and a host")
    if parts.username is not None:
        raise ValueError("a URL with a user is not supported: give an Authorization header")
    return url


class WebhookAlerter(BaseAlerter):
    """Posts a message as JSON, `{"text": message}`, which many chat systems understand; `message_key` is another key.

    With a `signing_secret`, the header X-Hub-Signature-256 holds `sha256=` and the hexadecimal HMAC-SHA256 of the body, as
    GitHub's webhooks do (https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries). Values of
    `headers` may refer to secrets, and those of an Authorization header and the like must. The URL counts as secret, since
    with most services it is all that one needs to post.
    `timeout` is how many seconds to wait for each answer.

    Whoever configures the alerter chooses the address that is called from wherever steps run; messages cannot. A redirect
    is not followed, so that the server cannot choose another one.
    """

    FLAVOR: ClassVar[str] = "webhook"

    url: Annotated[SecretStr, AfterValidator(_check_url)]
    headers: dict[str, str] = Field(default_factory=dict)
    message_key: Annotated[str, Public()] = Field(default="text", min_length=1)
    signing_secret: SecretStr | None = None
    timeout: float = Field(default=10, gt=0)

    @field_validator("headers")
    @classmethod
    def _check_headers(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not _TOKEN.fullmatch(name):
                raise ValueError(f"{name!r} cannot be the name of a header")
            if _SECRET_HEADER.search(name) and not has_reference(value):
                raise ValueError(
                    f"the value of {name!r} is a secret: give a reference to it, as in '{{{{secret.key}}}}'"
                )
            if not _can_be_sent(value):
                raise ValueError(f"the value of {name!r} holds a line break, or what Latin-1 does not have")
        return headers

    def post(self, message: str, config: None = None) -> bool:
        """Post the message. Whether the server accepted it (status 2xx); if not, the log says why.

        Raises:
            ConfigurationError: `config` is given, or a header's reference stands for what no header can hold.
            SecretError: a reference cannot be resolved.
        """
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError

        if config is not None:
            raise ConfigurationError(
                f"The {self.TYPE.display} '{self.name}' takes no config, but a {type(config).__name__} is given."
            )
        request = self._request(message)
        try:
            with _opener().open(request, timeout=self.timeout):
                return True
        except HTTPError as error:
            error.close()
            reason = f"it answered {error.code} {_phrase(error.code)}".rstrip()
        except URLError as error:
            reason = str(error.reason)
        except (HTTPException, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
        # The host only: the rest of the URL is as good as a password.
        logger.warning(
            "The %s '%s' could not post to %s: %s.", self.TYPE.display, self.name, request.host, reason
        )
        return False

    def _request(self, message: str) -> Request:
        from urllib.request import Request

        from zenml import __version__

        body = json.dumps({self.message_key: message}).encode()
        request = Request(  # noqa: S310 - the scheme is checked
            self.url.get_secret_value(),
            body,
            {"Content-Type": "application/json", "User-Agent": f"zenml/{__version__}"},
        )
        for name, value in self.headers.items():
            if not _can_be_sent(value):
                raise ConfigurationError(
                    f"The {self.TYPE.display} '{self.name}' cannot send the header {name!r}: what it refers to holds a line break, "
                    "or what Latin-1 does not have."
                )
            request.add_header(name, value)
        if self.signing_secret is not None:
            key = self.signing_secret.get_secret_value().encode()
            request.add_header(
                "X-Hub-Signature-256", f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}"
            )
        return request


def _opener() -> OpenerDirector:
    from urllib.request import HTTPRedirectHandler, build_opener

    class NoRedirect(HTTPRedirectHandler):
        def redirect_request(self, *_: Any) -> None:
            return None

    return build_opener(NoRedirect)


def _can_be_sent(value: str) -> bool:
    try:
        value.encode("latin-1")
    except UnicodeEncodeError:
        return False
    return not _CONTROL.search(value.replace("\t", " "))


def _phrase(code: int) -> str:
    try:
        return HTTPStatus(code).phrase
    except ValueError:
        return ""
