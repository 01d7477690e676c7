"""What every alerter does, against real servers. Add an alerter to `ALERTERS`: how to make one for servers that are up, or down."""

import pytest

import zenml.alerter
import zenml.alerters
from tests import services
from tests.unit.alerters.servers import WebServer, web_server
from zenml.alerters import BaseAlerter, EmailAlerter, WebhookAlerter, get_active_alerter
from zenml.exceptions import ConfigurationError, DoesNotExistException, StackComponentInterfaceError

__all__ = ["web_server"]

MESSAGE = "Run finished ✓\n\naccuracy: 0.97"


@pytest.fixture(params=["email", "webhook"])
def alerter(request):
    if request.param == "email":
        server = request.getfixturevalue("smtp_server")
        received = lambda: [mail.get_content().strip().replace("\r\n", "\n") for mail in server.messages]  # noqa: E731
        return email(server.port), received
    server: WebServer = request.getfixturevalue("web_server")
    received = lambda: [asked.json()["text"] for asked in server.asked]  # noqa: E731
    return WebhookAlerter(name="team", url=f"{server.url}/hook"), received


def email(port):
    return EmailAlerter(
        name="team",
        host="127.0.0.1",
        port=port,
        encryption="none",
        sender="run@example.org",
        recipients=["ann@example.org"],
    )


def test_a_message_arrives(alerter):
    alerter, received = alerter
    assert alerter.post(MESSAGE) is True
    assert received() == [MESSAGE]


@pytest.mark.parametrize("flavor", ["email", "webhook"])
def test_a_server_that_is_down_is_no_error(flavor, caplog):
    port = services.free_port()
    alerter = (
        email(port)
        if flavor == "email"
        else WebhookAlerter(name="team", url=f"http://127.0.0.1:{port}/canary")
    )
    assert alerter.post(MESSAGE) is False
    assert "The alerter 'team' could not" in caplog.text
    assert "Connection refused" in caplog.text
    assert "canary" not in caplog.text


def test_a_wrong_config_is_an_error(alerter):
    alerter, received = alerter
    with pytest.raises(ConfigurationError, match="The alerter 'team' .* dict"):
        alerter.post(MESSAGE, {"channel": "general"})
    assert received() == []


def test_asking_is_refused_by_who_cannot_receive(alerter):
    alerter, received = alerter
    with pytest.raises(
        ConfigurationError,
        match="The alerter 'team' of flavor '.*' cannot ask: it sends messages, but receives no",
    ):
        alerter.ask("Deploy?")
    assert received() == []


def test_an_alerter_is_kept(alerter):
    alerter, _ = alerter
    alerter = alerter.updated({"url": "{{hook.url}}"}) if alerter.FLAVOR == "webhook" else alerter
    assert type(alerter).from_record(alerter.to_record()) == alerter


def test_the_alerter_of_a_step(alerter):
    class Stack:
        name = "team"
        alerter: BaseAlerter | None = None

    class Context:
        stack: Stack | None = None

    context = Context()
    with pytest.raises(DoesNotExistException, match="There is no active stack"):
        get_active_alerter(context)
    context.stack = Stack()
    with pytest.raises(
        DoesNotExistException,
        match="The stack 'team' has no alerter: register one with `zenml alerter register",
    ):
        get_active_alerter(context)
    context.stack.alerter = alerter[0]
    assert get_active_alerter(context) is alerter[0]


def test_an_alerter_that_cannot_post():
    class Mute(BaseAlerter):
        FLAVOR = "mute"

    with pytest.raises((TypeError, StackComponentInterfaceError), match="post"):
        Mute(name="mute")


def test_the_other_name_of_the_package():
    assert zenml.alerter.__all__ == zenml.alerters.__all__
    assert all(
        getattr(zenml.alerter, name) is getattr(zenml.alerters, name) for name in zenml.alerters.__all__
    )
