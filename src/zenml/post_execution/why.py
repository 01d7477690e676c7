"""Why a step ran, or why it did not have to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException
from zenml.model.json import canonical
from zenml.post_execution.wording import shortened

if TYPE_CHECKING:
    from datetime import datetime

    from zenml.post_execution.run import PipelineRunView
    from zenml.post_execution.step import StepView

FIRST_RUN = "first run of this step"
"""The reason of a step that the pipeline has not had before."""

_LONGEST = 60
_MOST = 3


@dataclass(frozen=True)
class Explanation:
    """Why a step of a run ran, was cached, or was skipped: each reason in words, the first one first.

    `step` is its label: "train", or "train[3]" for an instance of a mapped step.
    """

    step: str
    status: ExecutionStatus
    reasons: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """The explanation as JSON data."""
        return {"step": self.step, "status": self.status.value, "reasons": list(self.reasons)}


def why(run: PipelineRunView, step: str) -> Explanation:
    """Why the step "train", or the instance "train[3]" of a mapped one, ran or did not. Raises DoesNotExistException."""
    return _Explainer(run).one(step)


def why_all(run: PipelineRunView) -> list[Explanation]:
    """The same for each step, in the order of the run; a mapped one counts as one."""
    return _Explainer(run).all()


class Keyed(Protocol):
    """A step that had a cache key."""

    @property
    def key_parts(self) -> Mapping[str, str]: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...


def differences(
    previous: Keyed, parts: Mapping[str, str], parameters: Mapping[str, Any], of_input: Callable[[str], str]
) -> list[str]:
    """What the cache key of a step differs in from that of an earlier run, in words; `of_input` tells about an input that differs."""
    words = changes(previous.key_parts, parts, previous.parameters, parameters)
    inputs = changed_inputs(previous.key_parts, parts)
    words += [of_input(name) for name in inputs[:_MOST]]
    if len(inputs) > _MOST:
        words.append(f"and {len(inputs) - _MOST} other inputs changed")
    return words


def changes(
    before: Mapping[str, str],
    now: Mapping[str, str],
    parameters_before: Mapping[str, Any],
    parameters_now: Mapping[str, Any],
) -> list[str]:
    """What two cache keys of a step differ in, inputs left out, in words: of their parts, and of the values of its parameters."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    words = [
        _changed(name, before[name], now[name], parameters_before, parameters_now)
        for name in _ordered(changed)
    ]
    # What changed code reaches besides, or no more, says nothing more.
    told = any(name.startswith("code ") for name in changed)
    for name in _ordered([*now, *(name for name in before if name not in now)]):
        if (name in now) == (name in before) or (told and name.startswith("code ")):
            continue
        what = _what(name)
        value = parameters_now.get(what.removeprefix("parameter ")) if what.startswith("parameter ") else None
        if name in before:
            words.append(f"{what} is gone")
        else:
            words.append(f"{what} is new" + ("" if value is None else f": {_value(value)}"))
    return [word for word in words if word]


def changed_inputs(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The names of the inputs that two cache keys of a step differ in."""
    names = dict.fromkeys(name for name in (*now, *before) if name.startswith("input "))
    return [name.removeprefix("input ") for name in names if before.get(name) != now.get(name)]


def as_in_run(run: str, ended: datetime | None, source: str, step: str) -> str:
    """The reason of a step that takes the result of the step `source` of an earlier run."""
    other = "" if source == step else f", its step '{source}'"
    return f"as in the run '{run}'{other}" + ("" if ended is None else f" of {ended:%Y-%m-%d %H:%M:%S} UTC")


def as_in_step(label: str) -> str:
    """The reason of a step that takes the result of another one of its own run."""
    return f"as the step '{label}' of this run"


def counted(reasons: Iterable[str]) -> Iterator[str]:
    """The reasons of the instances of a mapped step: the most frequent ones."""
    counts = Counter(reasons)
    for reason, count in counts.most_common(_MOST):
        yield reason if count == 1 else f"{reason} ({count} instances)"
    if len(counts) > _MOST:
        yield f"and {len(counts) - _MOST} other reasons"


def input_words(name: str, maker: str, *, is_new: bool) -> str:
    """The reason that is another input; `maker` is the step that made it, and why."""
    return f"input {name} {'is new' if is_new else 'changed'} (made by {maker})"


def same_key(status: ExecutionStatus, run: str) -> str:
    """The reason of a step whose key is that of the last run: there is no result of that."""
    if status is ExecutionStatus.CANCELLED:
        return f"it was cancelled in the run '{run}'"
    if status.is_successful:
        return f"its result of the run '{run}' lies in another artifact store, or could not be read any more"
    if status.is_finished:
        return f"it has {status} in the run '{run}'"
    return f"the run '{run}' had not finished it"


class _Explainer:
    """Explains the steps of one run."""

    def __init__(self, run: PipelineRunView) -> None:
        self._run = run
        self._steps = {step.name: step for step in run.steps}
        self._instances: dict[str, list[StepView]] = {}
        self._known: dict[tuple[str, bool], tuple[str, ...]] = {}

    def all(self) -> list[Explanation]:
        return [self._explain(step) for step in self._steps.values()]

    def one(self, label: str) -> Explanation:
        match = re.fullmatch(r"(.+)\[(\d+)\]", label)
        if label in self._steps or match is None or match[1] not in self._steps:
            return self._explain(self._run.get_step(label))
        instances, index = self._instances_of(self._steps[match[1]]), int(match[2])
        if index >= len(instances):
            has = f"{len(instances)} instances, from [0] on" if instances else "no instances"
            raise DoesNotExistException(f"The step '{match[1]}' of the run '{self._run.name}' has {has}.")
        return self._explain(instances[index])

    def _explain(self, step: StepView) -> Explanation:
        return Explanation(step.label, step.status, self._reasons(step))

    def _instances_of(self, step: StepView) -> list[StepView]:
        if step.name not in self._instances:
            self._instances[step.name] = step.instances
        return self._instances[step.name]

    def _reasons(self, step: StepView, *, deep: bool = True) -> tuple[str, ...]:
        key = step.label, deep
        if key not in self._known:
            self._known[key] = tuple(self._found(step, deep=deep))
        return self._known[key]

    def _found(self, step: StepView, *, deep: bool) -> Iterator[str]:
        if step.status is ExecutionStatus.PENDING:
            yield "it has not started yet"
        elif step.is_mapped and self._instances_of(step):
            yield from self._of_instances(self._instances_of(step))
        elif step.status is ExecutionStatus.SKIPPED:
            yield step.reason or "it was skipped"
        elif step.is_cached:
            source = step.source_step
            if source.run == self._run:
                yield as_in_step(source.label)
            else:
                yield as_in_run(source.run.name, source.end_time, source.label, step.label)
        elif step.reason:
            yield step.reason
        else:
            yield from self._of_miss(step, deep=deep)

    def _of_instances(self, instances: list[StepView]) -> Iterator[str]:
        states = Counter("cached" if one.is_cached else str(one.status) for one in instances)
        yield ", ".join(f"{count} of {len(instances)} instances {state}" for state, count in states.items())
        yield from counted(
            reason for one in instances if not one.is_cached for reason in self._reasons(one, deep=False)
        )

    def _of_miss(self, step: StepView, *, deep: bool) -> Iterator[str]:
        previous = step.previous
        if previous is None:
            yield FIRST_RUN
            return

        def of_input(name: str) -> str:
            return self._of_input(step, name, is_new=f"input {name}" not in previous.key_parts, deep=deep)

        yield from differences(previous, step.key_parts, step.parameters, of_input) or [
            same_key(previous.status, previous.run.name)
        ]

    def _of_input(self, step: StepView, name: str, *, is_new: bool, deep: bool) -> str:
        base, _, index = name.rstrip("]").partition("[")
        source = self._run.spec(step.name).inputs.get(base)
        if source is None or f"input {name}" not in step.key_parts:
            return f"input {name} is gone"
        producer = self._steps[source.step]
        instances = self._instances_of(producer) if producer.is_mapped and source.mode != "items" else []
        at = int(index) if index else step.map_index
        producer = instances[at] if 0 <= at < len(instances) else producer
        if not deep:
            return input_words(name, producer.label, is_new=is_new)
        how = "" if producer.is_cached else "which ran because "
        reason = self._reasons(producer, deep=False)[0]
        return input_words(name, f"{producer.label}, {how}{reason}", is_new=is_new)


# Words

_ORDER = ("parameter", "code step", "code", "file", "cache function", "package", "output")


def _ordered(names: list[str]) -> list[str]:
    def place(name: str) -> int:
        return next((i for i, prefix in enumerate(_ORDER) if name.startswith(f"{prefix} ")), len(_ORDER))

    return sorted((name for name in dict.fromkeys(names) if not name.startswith("input ")), key=place)


def _changed(
    name: str, before: str, now: str, parameters_before: Mapping[str, Any], parameters_now: Mapping[str, Any]
) -> str:
    kind, _, rest = name.partition(" ")
    if kind == "parameter":
        old, new = parameters_before.get(rest), parameters_now.get(rest)
        return (
            f"parameter {rest}: {_value(old)} → {_value(new)}" if old != new else f"parameter {rest} changed"
        )
    if kind == "package":
        return f"{name}: {before} → {now}"
    return (
        f"{_what(name)} gives something else"
        if name.startswith("cache function ")
        else f"{_what(name)} changed"
    )


def _what(name: str) -> str:
    """What a part of a cache key stands for."""
    kind, _, rest = name.partition(" ")
    if kind != "code":
        return f"declaration of output {rest}" if kind == "output" else name
    kind, _, rest = rest.partition(" ")
    if kind == "step":
        return "code of the step"
    if kind == "function":
        return f"helper {rest}"
    return f"helper {rest} (by its bytecode)" if kind == "bytecode" else f"{kind} {rest}"


def _value(value: Any) -> str:
    return shortened(value if isinstance(value, str) else canonical(value), _LONGEST)
