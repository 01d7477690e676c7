"""Names for the outputs of a step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from zenml.exceptions import StepInterfaceError
from zenml.model.names import check_name


class Output:
    """A return annotation that names outputs: `def split(...) -> Output(train=list, test=list)`.

    The step returns their values in this order, as a tuple; a single one is returned as it is. Pairs may be given
    instead of keywords: `Output(("train", list), ...)`.
    """

    def __init__(self, *pairs: tuple[str, Any], **types: Any) -> None:
        self._types: dict[str, Any] = {}
        for name, type_ in (*pairs, *types.items()):
            if name in self._types:
                raise StepInterfaceError(
                    f"Two outputs of a step are named {name!r}: each needs a name of its own."
                )
            self._types[check_name(name, "step's output")] = type_

    def items(self) -> Iterator[tuple[str, Any]]:
        """Names and types, in declared order."""
        return iter(self._types.items())

    def __repr__(self) -> str:
        return f"Output({', '.join(f'{name}={type_!r}' for name, type_ in self._types.items())})"
