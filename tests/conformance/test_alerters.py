"""Our alerters pass the suite, against real servers."""

import pytest

import zenml.alerter
import zenml.alerters
from tests import services
from tests.unit.alerters.servers import WebServer, web_server
from zenml.alerters import BaseAlerter, EmailAlerter, WebhookAlerter, get_active_alerter
from zenml.exceptions import ConfigurationError, DoesNotExistException, StackComponentInterfaceError
from zenml.testing.conformance import AlerterConformance

__all__ = ["web_server"]


def email(port):
    return EmailAlerter(
        name="team",
        host="127.0.0.1",
        port=port,
        encryption="none",
        sender="run@example.org",
        recipients=["ann@example.org"],
    )


class TestEmail(AlerterConformance):
    @pytest.fixture
    def alerter(self, smtp_server):
        return email(smtp_server.port)

    @pytest.fixture
    def received(self, smtp_server):
        return lambda: [mail.get_content().strip().replace("\r\n", "\n") for mail in smtp_server.messages]

    @pytest.fixture
    def dead_alerter(self):
        return email(services.free_port())


class TestWebhook(AlerterConformance):
    @pytest.fixture
    def alerter(self, web_server: WebServer):
        return WebhookAlerter(name="team", url=f"{web_server.url}/hook")

    @pytest.fixture
    def received(self, web_server: WebServer):
        return lambda: [asked.json()["text"] for asked in web_server.asked]

    @pytest.fixture
    def dead_alerter(self):
        return WebhookAlerter(name="team", url=f"http://127.0.0.1:{services.free_port()}/canary")


@pytest.mark.parametrize("alerter", [email(25), WebhookAlerter(name="team", url="http://127.0.0.1/canary")])
def test_asking_is_refused_by_who_cannot_receive(alerter):
    with pytest.raises(
        ConfigurationError,
        match="The alerter 'team' of flavor '.*' cannot ask: it sends messages, but receives no",
    ):
        alerter.ask("Deploy?")


def test_a_secret_address_is_not_told(caplog):
    alerter = WebhookAlerter(name="team", url=f"http://127.0.0.1:{services.free_port()}/canary")
    assert alerter.post("x") is False
    assert "Connection refused" in caplog.text
    assert "canary" not in caplog.text


def test_a_step_without_an_alerter():
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
