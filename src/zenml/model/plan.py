"""What a run of a pipeline would do, before it does it."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

CACHED = "cached"
RUN = "run"
DEPENDS = "depends"
SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What would happen to a step. A mapped step counts as one.

    `action` is "cached", "run", "skipped" (its condition does not hold), or "depends": what it will read, or whether its condition
    holds, is known by the run only. `reasons` say why, in words. `component` is the orchestrator or step operator that would execute
    it, and `place` where that is. `seconds` are what it took when it last ran; None for one that never did. Of a mapped step, `width`
    is the number of its instances, None where it is not known yet, and `cached` of them are taken from the cache.
    """

    step: str
    action: str
    reasons: tuple[str, ...]
    component: str
    place: str
    seconds: float | None = None
    is_mapped: bool = False
    width: int | None = None
    cached: int = 0

    @property
    def label(self) -> str:
        """The name, with the number of instances."""
        if not self.is_mapped:
            return self.step
        return f"{self.step} ×{'?' if self.width is None else self.width}"  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run of a pipeline on a stack would do, in the order of its steps; `missing` are sentences about what must be there first."""

    pipeline: str
    stack: str
    steps: tuple[StepPlan, ...]
    missing: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """What the steps that may be executed took when they last were, one after the other; None if none of them ever was."""
        known = [step.seconds for step in self.steps if _may_run(step) and step.seconds is not None]
        return sum(known) if known or not any(map(_may_run, self.steps)) else None

    @property
    def actions(self) -> dict[str, int]:
        """How many steps have each action."""
        counts = Counter(step.action for step in self.steps)
        return {action: counts[action] for action in (CACHED, RUN, DEPENDS, SKIPPED) if counts[action]}

    def step(self, name: str) -> StepPlan:
        """What would happen to the step of that name. Raises KeyError."""
        for step in self.steps:
            if step.step == name:
                return step
        raise KeyError(name)

    def to_document(self) -> dict[str, Any]:
        """The plan as JSON data."""
        return {
            "pipeline": self.pipeline,
            "stack": self.stack,
            "seconds": self.seconds,
            "missing": list(self.missing),
            "steps": [{**asdict(step), "reasons": list(step.reasons)} for step in self.steps],
        }


def _may_run(step: StepPlan) -> bool:
    return step.action in (RUN, DEPENDS)
