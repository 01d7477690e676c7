"""When a step that failed is tried again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from zenml.exceptions import StepInterfaceError
from zenml.materializers.classes import import_path
from zenml.model.deployment import RetrySpec


@dataclass(frozen=True)
class Retry:
    """How often a step is tried: `@step(retries=Retry(attempts=3, delay=2, on=(ConnectionError,)))`.

    A step that timed out, or whose process died, raised `StepTimeoutError` (a TimeoutError) or `StepCrashedError`.

    Args:
        attempts: at the most, the first one included.
        delay: seconds to wait after the first one.
        backoff: by what the wait grows after each further one.
        max_delay: seconds that a wait lasts at the most.
        on: the exceptions, with their subclasses, that are worth another attempt.

    Raises:
        StepInterfaceError: a number is out of range, or `on` holds something that is no exception.
    """

    attempts: int = 3
    delay: float = 0.0
    backoff: float = 2.0
    max_delay: float = 300.0
    on: tuple[type[BaseException], ...] = (Exception,)

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        attempts: object = self.attempts
        if isinstance(attempts, bool) or not isinstance(attempts, int) or attempts < 1:
            raise StepInterfaceError(f"'attempts' of Retry is {attempts!r}, expected 1 or more.")
        for name, least in (("delay", 0), ("backoff", 1), ("max_delay", 0)):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, (int, float))
                or not least <= value < math.inf
            ):
                raise StepInterfaceError(
                    f"{name!r} of Retry is {value!r}, expected a number, {least} or more."
                )
        given: Any = self.on
        classes = (given,) if isinstance(given, type) else tuple(given)
        if wrong := [c for c in classes if not (isinstance(c, type) and issubclass(c, BaseException))]:
            raise StepInterfaceError(f"'on' of Retry names {wrong[0]!r}, expected classes of exceptions.")
        object.__setattr__(self, "on", classes)

    def spec(self) -> RetrySpec:
        """The same as plain data."""
        on = tuple(import_path(class_) for class_ in self.on)
        return RetrySpec(self.attempts, float(self.delay), float(self.backoff), float(self.max_delay), on)
