"""What two runs differ in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from zenml.model.deployment import Deployment

if TYPE_CHECKING:
    from zenml.model.deployment import StepSpec
    from zenml.model.housekeeping import RunHistory
    from zenml.model.runs import StepRunRecord
    from zenml.post_execution.run import PipelineRunView


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()
"""Stands for what one of the two runs does not have."""


@dataclass(frozen=True)
class Difference:
    """Something that is `old` in the first run and `new` in the second, `ABSENT` where there is none.

    `step` is empty for the run itself. `kind` is "status", "error", "code", "parameter", "logged parameter", "metric", "input", "output"
    (their digests), "wiring" (where inputs come from), "setting", "environment", "stack", or "step" for one that only one run has.
    """

    step: str
    kind: str
    name: str
    old: Any
    new: Any

    def to_document(self) -> dict[str, Any]:
        """The difference as JSON data: what is absent is left out."""
        document = {"step": self.step, "kind": self.kind, "name": self.name, "old": self.old, "new": self.new}
        return {key: value for key, value in document.items() if value is not ABSENT}


@dataclass(frozen=True)
class Times:
    """Seconds that a step (empty: the run) took in the first and in the second run; None where it has not ended."""

    step: str
    old: float | None
    new: float | None


@dataclass(frozen=True)
class RunDiff:
    """What the runs named `old` and `new` differ in. Times are not counted: no two runs take the same."""

    old: str
    new: str
    differences: tuple[Difference, ...]
    times: tuple[Times, ...]

    def __bool__(self) -> bool:
        return bool(self.differences)

    def to_document(self) -> dict[str, Any]:
        """The comparison as JSON data."""
        return {
            "old": self.old,
            "new": self.new,
            "differences": [difference.to_document() for difference in self.differences],
            "seconds": [asdict(times) for times in self.times],
        }


def diff(old: PipelineRunView, new: PipelineRunView) -> RunDiff:
    """Compare two runs, also of different pipelines and stores.

    Code goes by the names of the functions, classes and constants that a step reaches, inputs and outputs by the digests of
    their content, an instance of a mapped step by its index.
    """
    sides = _Side(old.history), _Side(new.history)
    differences = [*_of_runs(*sides), *_of_steps(*sides)]
    return RunDiff(old.name, new.name, tuple(differences), tuple(_times(*sides)))


class _Side:
    def __init__(self, history: RunHistory) -> None:
        self.history = history
        self.run = history.run
        self.deployment = Deployment.from_document(json.loads(history.deployment))
        self.steps = {_label(step): step for step in history.steps}
        self.specs = {spec.name: spec for spec in self.deployment.steps}


def _of_runs(old: _Side, new: _Side) -> Iterator[Difference]:
    for kind, facts in (
        ("status", _status_of_run),
        ("setting", _settings_of_run),
        ("environment", _environment),
        ("stack", _stack),
    ):
        yield from _changes("", kind, facts(old), facts(new))


def _of_steps(old: _Side, new: _Side) -> Iterator[Difference]:
    for label in dict.fromkeys((*old.steps, *new.steps)):
        before, after = old.steps.get(label), new.steps.get(label)
        if before is None or after is None:
            yield Difference(
                label,
                "step",
                label,
                ABSENT if before is None else before.status.value,
                ABSENT if after is None else after.status.value,
            )
            continue
        facts = zip(_facts(old, before), _facts(new, after), strict=True)
        for (kind, first), (_, second) in facts:
            yield from _changes(label, kind, first, second)


def _facts(side: _Side, step: StepRunRecord) -> Iterator[tuple[str, Mapping[str, Any]]]:
    history = side.history
    # What an instance has in common with the others is said once, of the mapped step.
    spec = side.specs.get(step.name) if step.map_index < 0 else None
    error = step.error and f"{step.error.type}: {step.error.message}"
    yield "status", {"status": step.status.value}
    yield "error", {} if error is None else {"error": error}
    yield "code", {} if spec is None else spec.code
    yield "parameter", step.parameters
    yield "setting", {} if spec is None else _settings(spec)
    yield "wiring", {} if spec is None else _wiring(spec)
    yield "input", {name: a.digest for name, a in history.inputs.get(step.id, {}).items()}
    yield "output", {name: a.digest for name, a in history.outputs.get(step.id, {}).items()}
    yield "metric", {metric.name: metric.value for metric in history.metrics.get(step.id, ())}
    yield "logged parameter", history.logged_parameters.get(step.id, {})


def _status_of_run(side: _Side) -> dict[str, Any]:
    return {"status": side.run.status.value}


def _settings_of_run(side: _Side) -> dict[str, Any]:
    deployment = side.deployment
    given = {name: value for name, value in side.run.runtime_configuration.items() if name != "run_name"}
    settings = {
        "pipeline": side.run.pipeline,
        "source": deployment.source,
        "enable_cache": deployment.enable_cache,
        "verify": deployment.verify,
        "on_failure": deployment.on_failure,
        "on_success": deployment.on_success,
        "secrets": list(deployment.secrets),
        # Steps that it was made with are compared as steps.
        **{
            f"argument {name}": described.get("value")
            for name, described in deployment.arguments.get("arguments", {}).items()
        },
        **{f"run({name}=...)": value for name, value in given.items()},
    }
    return _set(settings)


def _environment(side: _Side) -> dict[str, Any]:
    return {
        "zenml": side.run.zenml_version,
        "git": side.run.git_sha,
        "requirements": list(side.deployment.requirements),
        **side.deployment.environment,
    }


def _stack(side: _Side) -> dict[str, Any]:
    facts: dict[str, Any] = {"name": side.run.stack}
    for type_, component in side.deployment.stack.components.items():
        facts[type_.value] = f"{component.name} ({component.flavor})"
        facts |= {f"{type_.value}.{name}": value for name, value in component.configuration.items()}
    return facts


def _settings(spec: StepSpec) -> dict[str, Any]:
    """What the step was compiled with that has no kind of its own."""
    settings = {
        "source": spec.source,
        "enable_cache": spec.enable_cache,
        "step_operator": spec.step_operator,
        "retry": spec.retry and asdict(spec.retry),
        "timeout": spec.timeout,
        "resources": spec.resources and asdict(spec.resources),
        "expires_after": spec.expires_after,
        "on_failure": spec.on_failure,
        "on_success": spec.on_success,
        **spec.cache_parts,
        **{f"each {name}": list(values) for name, values in spec.each.items()},
        **{
            f"output {output.name}": " ".join(
                (output.annotation, *output.materializers, output.artifact_type)
            ).strip()
            for output in spec.outputs
        },
    }
    return _set(settings)


def _set(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without those that say nothing: an earlier version may not have known them."""
    return {name: value for name, value in settings.items() if value not in (None, "", [], {})}


def _wiring(spec: StepSpec) -> dict[str, Any]:
    wiring: dict[str, Any] = {name: f"{i.step}.{i.output} ({i.mode})" for name, i in spec.inputs.items()}
    if spec.when is not None:
        wiring["when"] = asdict(spec.when)
    return {**wiring, "after": sorted(spec.upstream)}


def _changes(step: str, kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    for name in dict.fromkeys((*old, *new)):
        before, after = old.get(name, ABSENT), new.get(name, ABSENT)
        if before != after and not (before != before and after != after):  # noqa: PLR0124 - NaN is not itself
            yield Difference(step, kind, name, before, after)


def _times(old: _Side, new: _Side) -> Iterator[Times]:
    yield Times("", _seconds(old.run.created, old.run.ended), _seconds(new.run.created, new.run.ended))
    for label, before in old.steps.items():
        if (after := new.steps.get(label)) is not None:
            yield Times(label, _seconds(before.started, before.ended), _seconds(after.started, after.ended))


def _seconds(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else round(end - start, 6)


def _label(step: StepRunRecord) -> str:
    return step.name if step.map_index < 0 else f"{step.name}[{step.map_index}]"
