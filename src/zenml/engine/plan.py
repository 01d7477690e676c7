"""The plan: what the driver would do with a deployment, found out by asking the same questions, without doing anything."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from zenml.engine.cache import cache_key, fixed_parts
from zenml.engine.decisions import OFF, Decisions, Miss
from zenml.engine.runner import instance_parameters
from zenml.engine.spread import spread_key
from zenml.enums import Reach
from zenml.exceptions import ZenMLBaseException
from zenml.materializers.values import read_value
from zenml.model.plan import CACHED, DEPENDS, RUN, SKIPPED, Plan, StepPlan
from zenml.model.runs import ArtifactRecord
from zenml.post_execution.view import moment
from zenml.post_execution.why import (
    FIRST_RUN,
    as_in_run,
    as_in_step,
    changes,
    counted,
    differences,
    input_words,
    same_key,
)
from zenml.steps.conditions import holds, words

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.deployment import ConditionSpec, Deployment, InputSpec, StepSpec
    from zenml.model.runs import CachedResult, CacheKey, StepRunRecord
    from zenml.stack import Stack

_RUNS = 10  # that are searched for the last one of a step
_ANY = "any"
_Outputs = Mapping[str, ArtifactRecord]
_Input = ArtifactRecord | tuple[str, ...]
"""A value, or what stands for one that is not known: who will have made it, and the name of its output."""


def plan_of(deployment: Deployment, stack: Stack, missing: Sequence[str] = ()) -> Plan:
    """What a run of the deployment would do now. Nothing is executed or recorded.

    "cached" and "run" are certain, as far as nobody else changes the stores, steps are executed one after the other, and none fails.

    Raises:
        StoreError: a store cannot be read.
    """
    planner = _Planner(deployment, stack)
    return Plan(deployment.pipeline, stack.name, tuple(map(planner.step, deployment.steps)), tuple(missing))


@dataclass
class _State:
    """What is known of a step that has been planned.

    `outputs` are those of its instances, None where they are not known; those of a step that is not mapped stand alone. Where the
    number of instances is not known, there are none. `makers` name who computes them, for each: two steps of a run may do the same.
    """

    action: str
    reasons: list[str]
    outputs: list[_Outputs | None] | None = None
    makers: list[str] = field(default_factory=list)
    may_be_skipped: bool = False
    width: int | None = None
    cached: int = 0


@dataclass(frozen=True)
class _Verdict:
    """What is found out about a step that is not mapped, or an instance."""

    action: str
    reasons: tuple[str, ...]
    maker: str
    outputs: _Outputs | None = None


@dataclass(frozen=True, slots=True)
class _Unit:
    """A step that is not mapped, or an instance. `shape` is the digest of the fixed parts of its key."""

    spec: StepSpec
    index: int
    label: str
    fixed: Mapping[str, str]
    shape: str

    @classmethod
    def of(cls, spec: StepSpec, index: int) -> _Unit:
        label = spec.name if index < 0 else f"{spec.name}[{index}]"
        fixed = fixed_parts(spec, index)
        return cls(spec, index, label, fixed, cache_key(fixed, {}).digest)


class _Planner:
    def __init__(self, deployment: Deployment, stack: Stack) -> None:
        self._deployment = deployment
        self._stack = stack
        self._store = stack.metadata_store
        self._decisions = Decisions(deployment, stack)
        self._decisions.prefetch()
        self._is_first = not self._store.count_runs()
        self._durations = self._store.durations(deployment.pipeline)
        self._states: dict[str, _State] = {}
        # What earlier steps of the run will have computed: by key, or by what stands for it where inputs are not known.
        self._made: dict[object, str] = {}
        # By their fixed parts: all that may be computed, and what of it has inputs that are not known.
        self._shapes: set[str] = set()
        self._open: dict[str, str] = {}
        # Lists of which the items will have been made, for certain or perhaps.
        self._spread: set[str] = set()
        self._may_spread: set[str] = set()
        self._history = _History(stack.metadata_store, deployment)

    def step(self, spec: StepSpec) -> StepPlan:
        """Plan the next step; all that it waits for has been planned."""
        skipped = self._skipped(spec)
        if skipped is not None:
            state = _State(SKIPPED, [skipped])
        else:
            doubts, may_be_skipped = self._doubts(spec)
            state = (self._mapped if spec.is_mapped else self._single)(spec, doubts, may_be_skipped)
            state.may_be_skipped = may_be_skipped
        self._states[spec.name] = state
        return StepPlan(
            spec.name,
            state.action,
            tuple(state.reasons),
            spec.step_operator or self._stack.orchestrator.name,
            self._place(spec),
            self._durations.get(spec.name),
            spec.is_mapped,
            state.width,
            state.cached,
        )

    def _place(self, spec: StepSpec) -> str:
        if spec.step_operator:
            return "step operator"
        spread = self._stack.orchestrator.spread
        if spread is Reach.NETWORK:
            return "elsewhere"
        apart = spread is Reach.HOST or spec.timeout is not None or spec.resources is not None
        return "worker" if apart else "in-process"

    # Whether it comes to a decision

    def _skipped(self, spec: StepSpec) -> str | None:
        """Why the step is skipped for certain."""
        sources = [source.step for source in spec.inputs.values()]
        for name in [*([spec.when.step] if spec.when else []), *sources]:
            if (state := self._states[name]).action == SKIPPED:
                because = re.match("it needs the step ('.*'),", state.reasons[0])
                return f"it needs the step '{name}', which was skipped" + (
                    f" because of {because[1]}" if because else ""
                )
        if spec.when is not None and self._holds(spec.when) is False:
            return f"its condition does not hold: {words(spec.when)}"
        return None

    def _holds(self, when: ConditionSpec) -> bool | None:
        """Whether the condition holds; None where only the run knows."""
        state = self._states[when.step]
        outputs = state.outputs[0] if state.outputs and not state.may_be_skipped else None
        if outputs is None:
            return None
        try:
            return holds(when, read_value(outputs[when.output], self._stack.artifact_store))
        except ZenMLBaseException:  # the run will say what is wrong with it
            return None

    def _doubts(self, spec: StepSpec) -> tuple[list[str], bool]:
        """What is not known yet, and whether the step may be skipped for it."""
        doubts, may_be_skipped = [], False
        if spec.when is not None and self._holds(spec.when) is None:
            doubts.append(f"its condition is known by the run only: {words(spec.when)}")
            may_be_skipped = True
        for name, source in spec.inputs.items():
            state = self._states[source.step]
            if state.may_be_skipped:
                doubts.append(f"input {name} is made by {source.step}, which may be skipped")
                may_be_skipped = True
            elif state.outputs is None or None in state.outputs:
                does = {RUN: "which runs", DEPENDS: "which may run"}.get(state.action, state.reasons[0])
                doubts.append(f"input {name} is made by {source.step}, {does}")
        return doubts, may_be_skipped

    # What is decided

    def _single(self, spec: StepSpec, doubts: list[str], may_be_skipped: bool) -> _State:
        inputs: dict[str, _Input] = {}
        for name, source in spec.inputs.items():
            inputs |= self._input(name, source, -1)
        verdict = self._verdict(spec, -1, inputs, doubts, may_be_skipped=may_be_skipped)
        return _State(verdict.action, list(verdict.reasons), [verdict.outputs], [verdict.maker])

    def _mapped(self, spec: StepSpec, doubts: list[str], may_be_skipped: bool) -> _State:
        items, widths, is_spread = self._items(spec, may_be_skipped=may_be_skipped)
        if len(set(widths)) > 1:
            return _State(
                RUN, [f"it is mapped over lists of different lengths: {', '.join(map(str, widths))}"]
            )
        if not widths or may_be_skipped:
            return self._unspread(spec, doubts, may_be_skipped)
        width = widths[0]
        verdicts = []
        for index in range(width):
            inputs = {name: found[index] for name, found in items.items()}
            for name, source in spec.inputs.items():
                if source.mode != "items":
                    inputs |= self._input(name, source, index)
            verdicts.append(self._verdict(spec, index, inputs, doubts, may_be_skipped=False))
        cached = sum(verdict.action == CACHED for verdict in verdicts)
        runs = is_spread is False or any(verdict.action == RUN for verdict in verdicts)
        action = RUN if runs else CACHED if is_spread and cached == width else DEPENDS
        reasons = [f"{cached} of {width} instances cached"] if cached else []
        wanted = verdicts if action == CACHED else [v for v in verdicts if v.action != CACHED]
        reasons += counted(reason for verdict in wanted for reason in verdict.reasons)
        if not is_spread:
            reasons.append(
                "its items are made anew" if is_spread is False else "its items may be made before"
            )
        makers = [verdict.maker for verdict in verdicts]
        return _State(
            action,
            reasons or ["it has no items"],
            [verdict.outputs for verdict in verdicts],
            makers,
            width=width,
            cached=cached,
        )

    def _unspread(self, spec: StepSpec, doubts: list[str], may_be_skipped: bool) -> _State:
        """A mapped step of which even the number of its instances is not known."""
        shape = _Unit.of(spec, -1).shape
        is_new = self._is_first and shape not in self._shapes and not (self._spread or self._may_spread)
        self._shapes.add(shape)
        self._open.setdefault(shape, spec.name)
        self._may_spread.add(_ANY)
        if not may_be_skipped and not spec.enable_cache:
            return _State(RUN, [OFF])
        if not may_be_skipped and is_new:
            return _State(RUN, [FIRST_RUN])
        return _State(DEPENDS, doubts)

    def _items(
        self, spec: StepSpec, *, may_be_skipped: bool
    ) -> tuple[dict[str, Sequence[_Input]], list[int], bool | None]:
        """The items of each list that is mapped over, the lengths of all that is, and whether the items are cached, if that is known."""
        widths = [len(values) for values in spec.each.values()]
        lists: dict[str, ArtifactRecord] = {}
        for name, source in spec.inputs.items():
            outputs = self._states[source.step].outputs
            if source.mode == "same" and outputs is not None:
                widths.append(len(outputs))
            elif source.mode in ("same", "items"):
                if outputs is None or (whole := outputs[0]) is None:
                    return {}, [], False
                lists[name] = whole[source.output]
        key = spread_key(lists)
        found = self._decisions.decide(spec, key)
        items: dict[str, Sequence[_Input]] = {}
        if not isinstance(found, Miss):
            for name in lists:
                items[name] = [a for a in found.artifacts if a.name.rpartition("[")[0] == name]
            return items, [*widths, *map(len, items.values())], True
        is_spread: bool | None = spec.enable_cache and key.digest in self._spread
        if spec.enable_cache and not is_spread and not self._may_spread.isdisjoint((key.digest, _ANY)):
            is_spread = None
        (self._may_spread if may_be_skipped else self._spread).add(key.digest)
        for name, record in lists.items():
            try:
                length = len(read_value(record, self._stack.artifact_store))
            except (ZenMLBaseException, TypeError):  # the run will say what is wrong with it
                return {}, [], False
            items[name] = [("item", record.digest, str(index)) for index in range(length)]
        return items, [*widths, *map(len, items.values())], is_spread

    def _input(self, name: str, source: InputSpec, index: int) -> dict[str, _Input]:
        state = self._states[source.step]
        if state.outputs is None:
            return {name: (source.step, source.output)}
        if source.mode == "all":
            return {f"{name}[{i}]": self._output(state, i, source.output) for i in range(len(state.outputs))}
        return {name: self._output(state, index if source.mode == "same" else 0, source.output)}

    def _output(self, state: _State, index: int, name: str) -> _Input:
        outputs = state.outputs[index] if state.outputs else None
        return (state.makers[index], name) if outputs is None else outputs[name]

    def _verdict(
        self,
        spec: StepSpec,
        index: int,
        inputs: Mapping[str, _Input],
        doubts: list[str],
        *,
        may_be_skipped: bool,
    ) -> _Verdict:
        unit = _Unit.of(spec, index)
        known = {name: value for name, value in inputs.items() if not isinstance(value, tuple)}
        if may_be_skipped:
            verdict = _Verdict(DEPENDS, (*doubts, *self._changes(unit)), unit.label)
        elif len(known) < len(inputs):
            verdict = self._undecided(unit, inputs, doubts)
        else:
            verdict = self._decided(unit, cache_key(unit.fixed, known))
        if may_be_skipped or len(known) < len(inputs):
            self._open.setdefault(unit.shape, unit.label)
        self._shapes.add(unit.shape)
        return verdict

    def _decided(self, unit: _Unit, key: CacheKey) -> _Verdict:
        """All inputs are known: so is the key."""
        found = self._decisions.decide(unit.spec, key)
        if not isinstance(found, Miss):
            outputs = {artifact.name: artifact for artifact in found.artifacts}
            return _Verdict(CACHED, (self._where_from(found, unit.label),), unit.label, outputs)
        caches = unit.spec.enable_cache
        if caches and (twin := self._made.get(key.digest)):
            return _Verdict(CACHED, (as_in_step(twin),), twin)
        self._made.setdefault(key.digest, unit.label)
        if caches and (other := self._open.get(unit.shape)):
            return _Verdict(DEPENDS, (f"the step '{other}' of this run may do the same before",), unit.label)
        return _Verdict(RUN, (found.reason,) if found.reason else self._why(unit, key), unit.label)

    def _undecided(self, unit: _Unit, inputs: Mapping[str, _Input], doubts: list[str]) -> _Verdict:
        """Some inputs are not known."""
        names = {name: value if isinstance(value, tuple) else value.digest for name, value in inputs.items()}
        stands_for = (unit.shape, *sorted(names.items(), key=str))
        if not unit.spec.enable_cache:
            self._made.setdefault(stands_for, unit.label)
            return _Verdict(RUN, (OFF,), unit.label)
        if twin := self._made.get(stands_for):
            return _Verdict(CACHED, (as_in_step(twin),), twin)
        self._made[stands_for] = unit.label
        if self._is_first and unit.shape not in self._shapes:
            return _Verdict(RUN, (FIRST_RUN,), unit.label)
        return _Verdict(DEPENDS, (*doubts, *self._changes(unit)), unit.label)

    # Words

    def _why(self, unit: _Unit, key: CacheKey) -> tuple[str, ...]:
        spec, index = unit.spec, unit.index
        previous = self._history.previous(spec.name, index)
        if previous is None:
            return (FIRST_RUN,)

        def of_input(name: str) -> str:
            base, _, at = name.rstrip("]").partition("[")
            source = spec.inputs.get(base)
            if source is None or f"input {name}" not in key.parts:
                return f"input {name} is gone"
            state = self._states[source.step]
            is_new = f"input {name}" not in previous.key_parts
            place = f"[{at or index}]" if (at or source.mode == "same") and state.width is not None else ""
            return input_words(name, f"{source.step}{place}, {state.reasons[0]}", is_new=is_new)

        found = differences(previous, key.parts, instance_parameters(spec, index), of_input)
        return tuple(found) or (same_key(previous.status, self._history.run_name(previous.run_id)),)

    def _changes(self, unit: _Unit) -> list[str]:
        """What has changed besides the inputs, since the last run of the step."""
        previous = self._history.previous(unit.spec.name, unit.index)
        if previous is None:
            return []
        before = {name: part for name, part in previous.key_parts.items() if not name.startswith("input ")}
        return changes(before, unit.fixed, previous.parameters, instance_parameters(unit.spec, unit.index))

    def _where_from(self, found: CachedResult, label: str) -> str:
        run, source = self._history.source(found.step_run_id)
        return as_in_run(run, moment(found.ended or None), source, label)


class _History:
    """Earlier runs of a pipeline, read when they are asked for, and run by run."""

    def __init__(self, store: BaseMetadataStore, deployment: Deployment) -> None:
        self._store = store
        self._pipeline = deployment.pipeline
        self._wanted = {step.name for step in deployment.steps}
        self._runs: dict[int, str] = {}
        self._sources: dict[int, tuple[str, str]] = {}
        self._instances: dict[int, dict[str, list[StepRunRecord]]] = {}

    def previous(self, name: str, index: int) -> StepRunRecord | None:
        """The step, or instance, in the last run in which it had a key."""
        record = self._steps.get(name)
        if record is None or index < 0:
            return record
        instances = self._store_instances(record)
        found = instances[index] if index < len(instances) else None
        return found if found is not None and found.cache_key else None

    def run_name(self, run_id: int) -> str:
        """The name of a run."""
        if run_id not in self._runs:
            self._runs[run_id] = self._store.run(run_id).name
        return self._runs[run_id]

    def source(self, step_run_id: int) -> tuple[str, str]:
        """The names of the run and the step that a result is of."""
        if step_run_id not in self._sources:
            record = self._store.step(step_run_id)
            run = self.run_name(record.run_id)
            records = (
                self._store.steps(record.run_id) if record.map_index < 0 else self._store_instances(record)
            )
            for one in records:  # the next question is likely to be about the same run
                label = one.name if one.map_index < 0 else f"{one.name}[{one.map_index}]"
                self._sources[one.id] = run, label
        return self._sources[step_run_id]

    def _store_instances(self, record: StepRunRecord) -> list[StepRunRecord]:
        known = self._instances.setdefault(record.run_id, {})
        if record.name not in known:
            known[record.name] = self._store.instances(record.run_id, record.name)
        return known[record.name]

    @cached_property
    def _steps(self) -> dict[str, StepRunRecord]:
        found: dict[str, StepRunRecord] = {}
        pipeline = self._store.pipeline(self._pipeline)
        runs = self._store.runs(pipeline.id, limit=_RUNS, newest_first=True) if pipeline else []
        for run in runs:
            if self._wanted <= found.keys():
                break
            for record in self._store.steps(run.id):
                if record.cache_key is not None:
                    found.setdefault(record.name, record)
        return found
