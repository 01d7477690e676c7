"""Conditions on values that only the run knows."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zenml.exceptions import PipelineInterfaceError

if TYPE_CHECKING:
    from zenml.model.deployment import ConditionSpec
    from zenml.steps.composition import StepOutput

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, eq=False)
class Condition:
    """What comparing a step's output in a pipeline's function gives: `deploy(model, when=accuracy >= 0.9)`."""

    output: StepOutput
    operator: str
    value: Any = None

    def __bool__(self) -> bool:
        raise PipelineInterfaceError(
            f"{self!r} is known by the run only: it cannot be used with `if`, `and`, `or` or `not` while the pipeline is put together. "
            "Give it to a step: `some_step(..., when=...)`; combine conditions in a step that returns a bool."
        )

    def __repr__(self) -> str:
        if self.operator in ("true", "false"):
            return f"<{self.output!r} is {self.operator}>"
        return f"<{self.output!r} {self.operator} {self.value!r}>"


def holds(spec: ConditionSpec, value: Any) -> bool:
    """Whether the value of the output that the condition is about fulfils it."""
    if spec.operator in ("true", "false"):
        return bool(value) is (spec.operator == "true")
    return bool(_COMPARISONS[spec.operator](value, spec.value))


def words(spec: ConditionSpec) -> str:
    """The condition as a person reads it: "evaluate.accuracy >= 0.9"; the only output of a step goes by the step's name."""
    what = "" if spec.operator in ("true", "false") else f" {spec.operator} {spec.value!r}"
    output = "" if spec.output == "output" else f".{spec.output}"
    return f"{'not ' if spec.operator == 'false' else ''}{spec.step}{output}{what}"
