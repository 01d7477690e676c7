"""The alerter that sends mail."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator

from zenml.alerters.base_alerter import BaseAlerter
from zenml.exceptions import ConfigurationError
from zenml.logger import get_logger

if TYPE_CHECKING:
    from email.message import EmailMessage
    from smtplib import SMTP
    from ssl import SSLContext

    from typing_extensions import Self

logger = get_logger(__name__)

T = TypeVar("T", bound=str | SecretStr)

_ADDRESS = re.compile(r"""[^\s@<>()\[\],;:"\\\x00-\x1f\x7f]+@[^\s@<>()\[\],;:"\\\x00-\x1f\x7f]+""")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_LONGEST_SUBJECT = 120


def _check_address(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError(f"{address!r} is no mail address: expected NAME@HOST and nothing else")
    return address


def _check_login(value: T) -> T:
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not text.isascii():
        raise ValueError("it holds letters outside of ASCII, which smtplib cannot send")
    return value


def _split(value: object) -> object:
    return [part.strip() for part in value.split(",")] if isinstance(value, str) else value


Address = Annotated[str, AfterValidator(_check_address)]


@dataclass(frozen=True)
class EmailAlert:
    """What is special about one mail: its subject (by default, the message's first line), and other recipients than usual."""

    subject: str | None = None
    recipients: tuple[str, ...] = ()


class EmailAlerter(BaseAlerter):
    """Sends mail by SMTP.

    `encryption` is "starttls" (port 587, unless `port` says otherwise), "tls" (465) or "none" (25). The server's certificate must be
    one that this machine trusts; SSL_CERT_FILE names the authorities of one's own. `recipients` may be one text with commas.
    `timeout` is how many seconds to wait for each answer of the server. A mail cannot wait for an answer: `ask` raises ConfigurationError.
    """

    FLAVOR: ClassVar[str] = "email"

    host: str
    port: int | None = Field(default=None, ge=1, le=65535)
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    username: Annotated[str, AfterValidator(_check_login)] | None = None
    password: Annotated[SecretStr, AfterValidator(_check_login)] | None = None
    sender: Address
    recipients: Annotated[tuple[Address, ...], BeforeValidator(_split), Field(min_length=1)]
    subject_prefix: str = ""
    timeout: float = Field(default=30, gt=0)

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        given = [name for name in ("username", "password") if self.__dict__[name] is not None]
        if len(given) == 1:
            raise ValueError(f"username and password belong together: only the {given[0]} is given")
        if given and self.encryption == "none":
            raise ValueError("the password would be sent in clear: set encryption to 'starttls' or 'tls'")
        return self

    def post(self, message: str, config: EmailAlert | None = None) -> bool:
        """Mail the message. Whether the server took it for every recipient; if not, the log says why.

        Raises:
            ConfigurationError: `config` is of another class, or its subject or a recipient would break the mail's head.
            SecretError: user or password refer to what cannot be resolved.
        """
        from smtplib import SMTPException

        mail = self._mail(message, self._checked(config))
        login = (
            None
            if self.username is None or self.password is None
            else (self.username, self.password.get_secret_value())
        )
        try:
            with self._connection() as server:
                if login:
                    server.login(*login)
                refused = server.send_message(mail)
        except (SMTPException, OSError, UnicodeError) as error:
            self._warn(_reason(error))
            return False
        if refused:
            self._warn(f"the server refused {', '.join(sorted(refused))}")
        return not refused

    def _connection(self) -> SMTP:
        from smtplib import SMTP, SMTP_SSL

        port = self.port or _PORTS[self.encryption]
        if self.encryption == "tls":
            return SMTP_SSL(self.host, port, timeout=self.timeout, context=_trust())
        server = SMTP(self.host, port, timeout=self.timeout)
        if self.encryption == "starttls":
            try:
                server.starttls(context=_trust())
            except BaseException:
                server.close()
                raise
        return server

    def _mail(self, message: str, alert: EmailAlert) -> EmailMessage:
        from email.message import EmailMessage
        from email.utils import localtime, make_msgid

        text = message.encode(errors="replace").decode()  # a lone surrogate cannot be sent
        first = next(iter(text.strip().splitlines()), "")
        mail = EmailMessage()
        mail["From"] = self.sender
        mail["To"] = ", ".join(alert.recipients or self.recipients)
        mail["Subject"] = self.subject_prefix + (alert.subject or _CONTROL.sub(" ", first)[:_LONGEST_SUBJECT])
        mail["Date"] = localtime()
        mail["Message-ID"] = make_msgid(domain=self.sender.rpartition("@")[2])
        mail.set_content(text)
        return mail

    def _checked(self, config: Any) -> EmailAlert:
        if config is None:
            config = EmailAlert()
        if not isinstance(config, EmailAlert):
            raise ConfigurationError(
                f"{self._who} cannot use a {type(config).__name__}: expected a zenml.alerters.EmailAlert."
            )
        for what, text in (("subject", config.subject or ""), ("subject_prefix", self.subject_prefix)):
            if _CONTROL.search(text):
                raise ConfigurationError(
                    f"{self._who} cannot use the {what} {text!r}: it holds a line break or a control character."
                )
        for address in config.recipients:
            try:
                _check_address(address)
            except ValueError as error:
                raise ConfigurationError(f"{self._who} cannot send to {error}.") from None
        return config

    def _warn(self, reason: str) -> None:
        logger.warning("%s could not send a mail by %s: %s.", self._who, self.host, reason)

    @property
    def _who(self) -> str:
        return f"The {self.TYPE.display} '{self.name}'"


def _trust() -> SSLContext:
    import ssl

    return ssl.create_default_context()


def _reason(error: Exception) -> str:
    from smtplib import SMTPAuthenticationError, SMTPRecipientsRefused, SMTPResponseException

    if isinstance(error, SMTPAuthenticationError):
        # What the server says could hold what it was told.
        return f"the server refused username and password (code {error.smtp_code})"
    if isinstance(error, SMTPRecipientsRefused):
        return f"the server refused {', '.join(sorted(error.recipients))}"
    if isinstance(error, SMTPResponseException):
        said = (
            error.smtp_error.decode(errors="replace")
            if isinstance(error.smtp_error, bytes)
            else error.smtp_error
        )
        return f"the server said {error.smtp_code} {said}"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
