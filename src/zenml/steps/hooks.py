"""Functions that are called when a step or a run has ended."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from zenml.exceptions import StepInterfaceError

if TYPE_CHECKING:
    from zenml.model.runs import Ending

logger = logging.getLogger("zenml.run")

Hook: TypeAlias = "Callable[[Ending], object] | Callable[[], object]"


def checked_hook(hook: Hook | None, what: str) -> Hook | None:
    """The hook of the step or pipeline `what`. Raises StepInterfaceError if it cannot be called with an `Ending`, or with nothing."""
    hook = hook.__func__ if isinstance(hook, staticmethod) else hook
    if hook is None:
        return None
    try:
        _takes_ending(hook)
    except TypeError:
        raise StepInterfaceError(
            f"{hook!r} cannot be a hook of '{what}': expected a function that takes an `Ending`, or nothing."
        ) from None
    return hook


def call_hook(hook: Hook | None, ending: Ending) -> None:
    """Call it. What it raises is logged: how a step has ended is not changed by who is told of it."""
    if hook is None:
        return
    try:
        if _takes_ending(hook):
            hook(ending)  # type: ignore[call-arg]  # asked in the line above
        else:
            hook()  # type: ignore[call-arg]
    except Exception:
        logger.warning("The hook `%s` has failed.", getattr(hook, "__qualname__", hook), exc_info=True)


def _takes_ending(hook: Hook) -> bool:
    signature = inspect.signature(hook)
    try:
        signature.bind(None)
    except TypeError:
        signature.bind()
        return False
    return True
