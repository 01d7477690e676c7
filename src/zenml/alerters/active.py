"""The alerter of the stack that a step runs on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from zenml.exceptions import DoesNotExistException

if TYPE_CHECKING:
    from zenml.alerters.base_alerter import BaseAlerter
    from zenml.stack import Stack


class OnStack(Protocol):
    """What knows the stack that it runs on, such as a step's context."""

    @property
    def stack(self) -> Stack | None:
        """The stack."""
        ...


def get_active_alerter(context: OnStack) -> BaseAlerter:
    """The alerter of the stack that the step of this context runs on. Raises DoesNotExistException if it has none."""
    stack = context.stack
    if stack is None:
        raise DoesNotExistException("There is no active stack, and so no alerter.")
    if stack.alerter is None:
        raise DoesNotExistException(
            f"The stack '{stack.name}' has no alerter: register one with `zenml alerter register NAME --flavor=...` and add "
            f"it with `zenml stack update {stack.name} --alerter NAME`."
        )
    return stack.alerter
