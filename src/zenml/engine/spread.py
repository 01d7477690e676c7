"""Spreading a mapped step over its instances."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zenml.engine.cache import cache_key
from zenml.engine.decisions import Miss
from zenml.engine.runner import instance_parameters
from zenml.exceptions import StaleAttemptError, StepInterfaceError
from zenml.liveness import LEASE, this_process
from zenml.materializers.values import read_value, write_value
from zenml.model.runs import CacheHit, Claim, StepDraft, attempt_folder

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment, StepSpec
    from zenml.model.runs import ArtifactRecord, CachedResult, CacheKey
    from zenml.stack import Stack


@dataclass(frozen=True)
class Spread:
    """What a mapped step was spread over: its items by input, and the step run ids of its instances."""

    items: Mapping[str, Sequence[ArtifactRecord]]
    ids: list[int]
    is_cached: bool


def spread(
    spec: StepSpec,
    lists: Mapping[str, ArtifactRecord],
    twins: Sequence[int],
    *,
    step_run_id: int,
    deployment: Deployment,
    stack: Stack,
    decide: Callable[[StepSpec, CacheKey], CachedResult | Miss],
) -> Spread:
    """Make each item of the lists an artifact of its own, and register an instance of the step for each.

    An instance is cached by its item then, wherever that stands in the list. Items of the same lists are written once: a later run finds
    them again.

    Args:
        spec: the mapped step.
        lists: the lists that it is mapped over, by input.
        twins: numbers of instances of the mapped steps that it is mapped over.
        step_run_id: the step's own.
        deployment: the run's.
        stack: where to read and write.
        decide: finds earlier items.

    Raises:
        StepInterfaceError: a value is no list, or the lists differ in length; no instance is registered.
        ArtifactError: a list cannot be read.
    """
    key = spread_key(lists)
    inputs = {name: record.id for name, record in lists.items()}
    store = stack.metadata_store
    earlier = decide(spec, key)
    if not isinstance(earlier, Miss):
        items = _by_input(lists, earlier.artifacts)
        drafts = _drafts(spec, _width(spec, {name: len(found) for name, found in items.items()}, twins))
        hit = CacheHit(step_run_id, key, inputs, earlier.step_run_id)
        return Spread(items, store.expand_cached(hit, drafts), is_cached=True)
    claim = store.start_attempt(
        step_run_id, key=key, inputs=inputs, owner=this_process(), lease_until=time.time() + LEASE
    )
    if not isinstance(claim, Claim):
        raise StaleAttemptError(f"The step run {step_run_id} is claimed by another one.")
    values = {
        name: _items(spec, name, read_value(record, stack.artifact_store)) for name, record in lists.items()
    }
    drafts = _drafts(spec, _width(spec, {name: len(found) for name, found in values.items()}, twins))
    folder = attempt_folder(stack.artifact_store.path, deployment.run_uuid, spec.name, -1, claim.number)
    written = [
        write_value(f"{name}[{index}]", value, f"{folder}/{name}.{index}", stack.artifact_store)
        for name, found in values.items()
        for index, value in enumerate(found)
    ]
    artifacts, ids = store.expand_step(claim, written, drafts)
    return Spread(_by_input(lists, artifacts), ids, is_cached=False)


def spread_key(lists: Mapping[str, ArtifactRecord]) -> CacheKey:
    """The key by which the items of these lists are found again: what is done with them does not matter."""
    return cache_key({"spread over": ",".join(sorted(lists))}, lists)


def _items(spec: StepSpec, name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, (str, bytes, bytearray, Mapping)) or not hasattr(value, "__len__"):
        raise StepInterfaceError(
            f"The step '{spec.name}' is mapped over {name!r}, which is a {type(value).__qualname__}: expected a list. Give it as "
            f"{name}=unmapped(...), or return a list."
        )
    return list(value)


def _width(spec: StepSpec, lengths: Mapping[str, int], twins: Sequence[int]) -> int:
    known = {**lengths, **{name: len(values) for name, values in spec.each.items()}}
    same = (name for name, source in spec.inputs.items() if source.mode == "same")
    known |= dict(zip(same, twins, strict=True))
    if len(set(known.values())) > 1:
        shown = ", ".join(f"{name!r} has {length}" for name, length in known.items())
        raise StepInterfaceError(
            f"The step '{spec.name}' is mapped over lists of different lengths: {shown}."
        )
    return next(iter(known.values()))


def _drafts(spec: StepSpec, width: int) -> list[StepDraft]:
    return [
        StepDraft(spec.name, spec.entrypoint_name, instance_parameters(spec, index), spec.docstring, index)
        for index in range(width)
    ]


def _by_input(
    lists: Mapping[str, ArtifactRecord], artifacts: Sequence[ArtifactRecord]
) -> dict[str, list[ArtifactRecord]]:
    items: dict[str, list[ArtifactRecord]] = {name: [] for name in lists}
    for artifact in artifacts:
        items[artifact.name.rpartition("[")[0]].append(artifact)
    return items
