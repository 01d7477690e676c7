"""What a component demands of the stack that it is part of."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

from zenml.exceptions import StackValidationError

if TYPE_CHECKING:
    from zenml.enums import StackComponentType
    from zenml.stack.stack import Stack


class StackValidator:
    """Types of component that the stack must have, and a function that says whether it fits, and why not."""

    def __init__(
        self,
        required_components: AbstractSet[StackComponentType] | None = None,
        custom_validation_function: Callable[[Stack], tuple[bool, str]] | None = None,
    ) -> None:
        self._required = required_components or frozenset()
        self._function = custom_validation_function

    def validate(self, stack: Stack) -> None:
        """Check `stack`; missing components are reported before the function is called.

        Raises:
            StackValidationError: it does not fit.
        """
        if missing := sorted(type_.display for type_ in self._required if type_ not in stack.components):
            raise StackValidationError(
                f"The stack '{stack.name}' needs a component of each of these types, and has none: {', '.join(missing)}. "
                f"Add one with `zenml stack update {stack.name} ...`."
            )
        if self._function is not None:
            fits, reason = self._function(stack)
            if not fits:
                raise StackValidationError(f"The stack '{stack.name}' cannot be used: {reason}")
