"""What every alerter does."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError
from zenml.stack import StackComponent


class BaseAlerter(StackComponent):
    """Sends messages to people.

    A message that cannot be delivered is no reason for a step to fail: `post` logs why and returns False. What is
    configured wrongly raises `ConfigurationError`, a secret that cannot be resolved `SecretError`. No log and no error
    shows a secret. The smallest alerter:

        class Printer(BaseAlerter):
            FLAVOR: ClassVar[str] = "printer"

            def post(self, message, config=None):
                print(message)
                return True
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.ALERTER

    @abstractmethod
    def post(self, message: str, config: Any = None) -> bool:
        """Send a message; `config` holds what is special about this one, as each alerter says. Whether it was accepted for delivery."""

    def ask(self, question: str, config: Any = None) -> bool:
        """Send a question and wait for the answer: True for yes. An alerter that cannot receive raises ConfigurationError."""
        raise ConfigurationError(
            f"The {self.TYPE.display} '{self.name}' of flavor '{self.FLAVOR}' cannot ask: it sends messages, but receives no "
            "answers. Use one that does both."
        )
