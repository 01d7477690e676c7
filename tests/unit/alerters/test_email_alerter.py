import logging
from email.parser import BytesParser
from email.policy import default as email_policy

import pytest

from tests import services
from tests.unit.alerters.servers import self_signed, server_context
from zenml.alerters import EmailAlert, EmailAlerter
from zenml.exceptions import ConfigurationError, SecretError

# With TLS from the first byte, the server knows no STARTTLS that it could require before a login.
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

PASSWORD = "canary-+/=%s pass"


def alerter(port=25, **fields):
    given = {
        "host": "127.0.0.1",
        "port": port,
        "encryption": "none",
        "sender": "run@example.org",
        "recipients": "ann@example.org, bob@example.org",
    }
    return EmailAlerter(name="team", **{**given, **fields})


def content(mail):
    return mail.get_content().replace("\r\n", "\n")


@pytest.fixture
def certificate(tmp_path):
    return self_signed(tmp_path)


@pytest.fixture(params=["starttls", "tls"])
def secure_server(request, certificate):
    """A server that asks for a certificate's trust and for a login."""
    from aiosmtpd.controller import Controller
    from aiosmtpd.smtp import SMTP, AuthResult

    class Handler:
        def __init__(self):
            self.messages = []

        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
            self.messages.append(BytesParser(policy=email_policy).parsebytes(envelope.content))
            return "250 OK"

    def check(server, session, envelope, mechanism, data):
        right = (data.login, data.password) == (b"ann", PASSWORD.encode())
        return AuthResult(success=right, handled=False)

    handler, context = Handler(), server_context(certificate)

    class Server(Controller):
        def factory(self):
            tls = {"tls_context": context, "require_starttls": True} if request.param == "starttls" else {}
            return SMTP(
                handler,
                authenticator=check,
                auth_required=True,
                auth_require_tls=request.param == "starttls",
                **tls,
            )

    controller = Server(
        handler,
        hostname="127.0.0.1",
        port=services.free_port(),
        ssl_context=context if request.param == "tls" else None,
    )
    controller.start()
    yield (
        alerter(controller.port, encryption=request.param, username="ann", password=PASSWORD),
        handler.messages,
    )
    controller.stop()


def test_a_mail_has_what_mails_have(smtp_server):
    assert alerter(smtp_server.port, subject_prefix="[runs] ").post("First line\nand more ✓")
    (mail,) = smtp_server.messages
    assert mail["From"] == "run@example.org"
    assert mail["To"] == "ann@example.org, bob@example.org"
    assert mail["Subject"] == "[runs] First line"
    assert mail["Date"].datetime.tzinfo is not None
    assert mail["Message-ID"].endswith("@example.org>")
    assert content(mail) == "First line\nand more ✓\n"


def test_one_mail_can_be_special(smtp_server):
    assert alerter(smtp_server.port).post(
        "text", EmailAlert(subject="Überraschung", recipients=("eve@example.org",))
    )
    (mail,) = smtp_server.messages
    assert (mail["To"], mail["Subject"]) == ("eve@example.org", "Überraschung")


@pytest.mark.parametrize(
    "message",
    ["", "\n\n", "a\r\nBcc: eve@example.org\r\n\r\nx", "tab\x0bBcc: x", "\udcff", "x" * 5000, ".\n.\n"],
)
def test_any_message_can_be_sent(smtp_server, message):
    assert alerter(smtp_server.port).post(message)
    (mail,) = smtp_server.messages
    assert mail["Bcc"] is None
    expected = message.replace("\udcff", "?").replace("\r\n", "\n")
    assert content(mail).rstrip("\n") == expected.rstrip("\n")


@pytest.mark.parametrize("subject", ["a\nBcc: eve@example.org", "a\rb", "a\u2028b", "a\x00b"])
def test_a_subject_with_a_line_break_is_refused(smtp_server, subject):
    with pytest.raises(
        ConfigurationError,
        match="'team' cannot use the subject .*: it holds a line break or a control character",
    ):
        alerter(smtp_server.port).post("text", EmailAlert(subject=subject))
    with pytest.raises(ConfigurationError, match="cannot use the subject_prefix"):
        alerter(smtp_server.port, subject_prefix=subject).post("text")
    assert smtp_server.messages == []


@pytest.mark.parametrize(
    "address", ["ann", "ann@example.org\nBcc: eve@example.org", "Ann <ann@example.org>", "a@b@c", "", "a b@c"]
)
def test_what_is_no_address_is_refused(smtp_server, address):
    with pytest.raises(ConfigurationError, match="is no mail address: expected NAME@HOST and nothing else"):
        alerter(sender=address)
    with pytest.raises(ConfigurationError, match=r"recipients.1: .* is no mail address"):
        alerter(recipients=["ann@example.org", address])
    with pytest.raises(ConfigurationError, match="'team' cannot send to .* is no mail address"):
        alerter(smtp_server.port).post("text", EmailAlert(recipients=(address,)))
    assert smtp_server.messages == []


def test_every_mistake_is_listed():
    with pytest.raises(ConfigurationError) as error:
        EmailAlerter(name="team", port=0, encryption="ssl", recipients=[], timeout=0, user="ann")
    message = str(error.value)
    for field in (
        "host: is required",
        "port:",
        "encryption:",
        "sender: is required",
        "recipients:",
        "timeout:",
        "user: the flavor",
    ):
        assert f"  {field}" in message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"username": "ann", "encryption": "tls"},
            "username and password belong together: only the username is given",
        ),
        (
            {"username": "ann", "password": PASSWORD},
            "the password would be sent in clear: set encryption to 'starttls' or 'tls'",
        ),
    ],
)
def test_logins_that_cannot_be_used(fields, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        alerter(**fields)
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize("field", ["username", "password"])
def test_a_login_that_cannot_be_sent(field, monkeypatch):
    given = {"username": "ann", "password": "x", field: "canäry", "encryption": "tls"}
    with pytest.raises(
        ConfigurationError, match=f"{field}: it holds letters outside of ASCII, which smtplib"
    ) as error:
        alerter(**given)
    assert "can" not in str(error.value).replace("cannot", "")
    monkeypatch.setenv("LOGIN", "canäry")
    with pytest.raises(ConfigurationError, match="it holds letters outside of ASCII"):
        alerter(**{**given, field: "{{env.LOGIN}}"}).post("text")


def test_a_mail_over_tls_with_a_login(secure_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    alerter, messages = secure_server
    assert PASSWORD not in repr(alerter)
    assert alerter.post("text")
    assert [mail["Subject"] for mail in messages] == ["text"]


def test_a_password_from_a_secret(secure_server, certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    alerter, messages = secure_server
    referring = alerter.updated({"username": "{{env.MAIL_USER}}", "password": "{{mail.password}}"})
    monkeypatch.setenv("MAIL_USER", "ann")
    with pytest.raises(SecretError, match="refers to the secret '{{mail.password}}'"):
        referring.post("text")
    assert referring.bound(lambda _name, _key: PASSWORD).post("text")
    assert len(messages) == 1


def test_a_certificate_that_nobody_trusts(secure_server, caplog):
    alerter, messages = secure_server
    assert alerter.post("text") is False
    assert "certificate verify failed" in caplog.text
    assert messages == []


def test_a_wrong_password(secure_server, certificate, monkeypatch, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    alerter, messages = secure_server
    assert alerter.updated({"password": "wrong-canary"}).post("text") is False
    assert (
        "The alerter 'team' could not send a mail by 127.0.0.1: the server refused username and password (code 535)."
        in caplog.text
    )
    assert "canary" not in caplog.text
    assert messages == []


def test_a_server_without_starttls(smtp_server, caplog):
    assert alerter(smtp_server.port, encryption="starttls").post("text") is False
    assert "STARTTLS extension not supported by server" in caplog.text
    assert smtp_server.messages == []


def test_a_server_that_refuses_recipients(caplog):
    from aiosmtpd.controller import Controller

    class Handler:
        refused = ("eve@example.org",)

        async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802 - aiosmtpd's name
            if address in self.refused:
                return "550 no such person"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
            return "250 OK"

    controller = Controller(Handler(), hostname="127.0.0.1", port=services.free_port())
    controller.start()
    try:
        both = alerter(controller.port, recipients=["ann@example.org", "eve@example.org"])
        assert both.post("text") is False
        assert both.post("text", EmailAlert(recipients=("eve@example.org",))) is False
    finally:
        controller.stop()
    assert caplog.text.count("the server refused eve@example.org.") == 2


def test_a_host_that_does_not_answer(caplog):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert alerter(silent.getsockname()[1], timeout=0.2).post("text") is False
    assert "timed out" in caplog.text
