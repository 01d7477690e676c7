"""What every alerter does."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zenml.alerters import BaseAlerter, get_active_alerter
from zenml.exceptions import ConfigurationError
from zenml.steps import StepContext, step
from zenml.testing.conformance.suite import Suite, undefined
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import run_step

MESSAGE = "Run finished ✓\n\naccuracy: 0.97"

Received = Callable[[], list[str]]


class AlerterConformance(Suite):
    """The duties of `BaseAlerter`.

    `alerter` is one whose server is up; `received` gives the texts of the messages that have arrived there. `dead_alerter` is one whose
    server does not answer.
    """

    @pytest.fixture
    def alerter(self) -> BaseAlerter:
        """The alerter under test."""
        undefined(self, "alerter", "an alerter whose server is up")

    @pytest.fixture
    def received(self) -> Received:
        """What has arrived at the alerter's server."""
        undefined(self, "received", "a function that gives the messages which have arrived")

    @pytest.fixture
    def dead_alerter(self) -> BaseAlerter:
        """An alerter that cannot deliver."""
        undefined(self, "dead_alerter", "an alerter whose server does not answer")

    def test_a_message_arrives_as_it_was_sent(self, alerter: BaseAlerter, received: Received) -> None:
        assert alerter.post(MESSAGE) is True
        assert received() == [MESSAGE]

    def test_several_messages_arrive_in_their_order(self, alerter: BaseAlerter, received: Received) -> None:
        for number in range(3):
            assert alerter.post(f"message {number}") is True
        assert received() == ["message 0", "message 1", "message 2"]

    def test_a_server_that_is_down_is_no_error(
        self, dead_alerter: BaseAlerter, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert dead_alerter.post(MESSAGE) is False
        assert f"The alerter '{dead_alerter.name}' could not" in caplog.text

    def test_a_wrong_config_is_an_error(self, alerter: BaseAlerter, received: Received) -> None:
        with pytest.raises(ConfigurationError, match=f"The alerter '{alerter.name}' .* dict"):
            alerter.post(MESSAGE, {"channel": "general"})
        assert received() == []

    def test_a_step_finds_the_alerter_of_its_stack(self, alerter: BaseAlerter, received: Received) -> None:
        # With a secrets manager, so that the alerter is kept also when its configuration holds a secret in clear.
        with isolated_stack(secrets={"other": {"key": "value"}}, alerter=alerter):
            assert run_step(_post, message=MESSAGE) is True
        assert received() == [MESSAGE]


@step
def _post(message: str, context: StepContext) -> bool:
    return get_active_alerter(context).post(message)
