"""What an experiment tracker is: it takes the parameters and numbers that a step reports."""

from __future__ import annotations

import math
from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

from zenml.context import RunningStep, running_step
from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, RunError
from zenml.secret.known import redact
from zenml.stack import StackComponent

_LONGEST = 190


class BaseExperimentTracker(StackComponent):
    """Takes what a running step reports: `context.stack.experiment_tracker.log_metrics({"loss": 0.1}, step=3)`.

    Whatever the flavor, it is recorded in the stack's metadata store, so that finished runs show it. A flavor for a
    tracking service sends it there as well:

        class MyTracker(BaseExperimentTracker):
            FLAVOR: ClassVar[str] = "mine"
            def log_metrics(self, metrics, step=0):
                super().log_metrics(metrics, step)
                my_service.send(metrics, step)
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.EXPERIMENT_TRACKER

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Record parameters of the running step, as text (`str`); one logged again replaces the one before. Of secrets, `***` is recorded.

        Raises:
            RunError: no step is running here.
            ConfigurationError: a name is no text, empty or longer than 190 characters; nothing is recorded.
        """
        running = self._running("log_params")
        _refuse("parameter", [reason for name in params if (reason := _bad_name(name))])
        if params:
            texts = {redact(name): redact(str(value)) for name, value in params.items()}
            running.stack.metadata_store.log_parameters(running.task.step_run_id, texts)

    def log_metrics(self, metrics: Mapping[str, Any], step: int = 0) -> None:
        """Record numbers of the running step; `step` counts within a series (an epoch, an iteration).

        A value is a real number: int, float, a NumPy scalar, or an array or tensor of one element. Not a bool, and neither NaN nor
        infinite: no database keeps these alike.

        Raises:
            RunError: no step is running here.
            ConfigurationError: a name, a value or `step` cannot be recorded; the message lists each, and nothing is recorded.
        """
        running = self._running("log_metrics")
        mistakes, numbers = [], {}
        if type(step) is not int or step < 0:
            mistakes.append(f"step: {step!r} is no whole number from 0 on")
        for name, value in metrics.items():
            number, reason = _number(value)
            if reason := _bad_name(name) or reason:
                mistakes.append(f"{name}: {reason}")
            numbers[redact(str(name))] = number
        _refuse("metric", mistakes)
        if numbers:
            running.stack.metadata_store.log_metrics(running.task.step_run_id, numbers, step=step)

    def _running(self, verb: str) -> RunningStep:
        running = running_step()
        if running is None:
            raise RunError(
                f"`{verb}` of the experiment tracker '{self.name}' was called outside of a step, so there is nothing "
                "to record it for: call it in a function decorated with @step, while its pipeline runs. "
                "A thread that the step starts needs the step's context: `contextvars.copy_context().run(...)`."
            )
        return running


def _bad_name(name: object) -> str:
    if not isinstance(name, str):
        return f"{name!r} is no text, so it cannot be a name"
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        return f"{name!r} cannot be a name: 1 to {_LONGEST} printable characters are expected"
    return ""


def _number(value: Any) -> tuple[float, str]:
    if not isinstance(value, Real) and callable(getattr(value, "item", None)):
        try:
            value = value.item()
        except (
            TypeError,
            ValueError,
            RuntimeError,
        ):  # NumPy's and PyTorch's ways to say "more than one element"
            return 0.0, f"a {type(value).__qualname__} of more than one element is no number"
    if isinstance(value, bool) or not isinstance(value, Real):
        return 0.0, f"{value!r} is a {type(value).__qualname__}, not a number"
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        return 0.0, f"{value!r} is not finite: log it only where `math.isfinite` holds"[:200]
    return number, ""


def _refuse(what: str, mistakes: list[str]) -> None:
    if mistakes:
        raise ConfigurationError(
            f"No {what} was recorded:\n" + "\n".join(f"  {mistake}." for mistake in mistakes)
        )
