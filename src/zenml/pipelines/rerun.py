"""Going on from a past run: resume and replay."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.engine.cache import fixed_parts
from zenml.engine.control import Past
from zenml.enums import ExecutionStatus
from zenml.exceptions import ChangedPipelineError, DoesNotExistException, RunError, nearest
from zenml.logger import get_logger
from zenml.model.deployment import Deployment
from zenml.model.runs import Origin
from zenml.pipelines.configuration import PipelineSettings, StepSettings
from zenml.pipelines.running import active_stack, check_stack, execute, prepare
from zenml.post_execution.why import changes as key_changes

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.deployment import StepSpec
    from zenml.model.runs import RunRecord
    from zenml.pipelines.base_pipeline import BasePipeline
    from zenml.pipelines.running import Prepared
    from zenml.post_execution import PipelineRunView
    from zenml.stack import Stack

logger = get_logger("zenml.pipelines")

_REPLAY = Path("replay")
_SEVERAL = 10


def resume(pipeline: BasePipeline, run_name: str, *, accept_changes: bool) -> PipelineRunView:
    """Go on with a run that did not end well. See `BasePipeline.resume`."""
    stack = active_stack()
    record = past_run(stack.metadata_store, pipeline, run_name)
    if record.status is ExecutionStatus.COMPLETED:
        raise RunError(
            f"The run '{run_name}' is complete: there is nothing to resume. Run it again with `zenml pipeline runs replay {run_name}`."
        )
    past = Deployment.from_document(json.loads(stack.metadata_store.deployment(record.id)))
    prepared = _prepare(pipeline, stack, past, _name(stack.metadata_store, run_name, "resumed"))
    _check_changes(past, prepared.compiled.deployment, run_name, accepted=accept_changes)
    return _go_on(prepared, record, "resume", frozenset())


def replay(
    pipeline: BasePipeline,
    run_name: str,
    *,
    start: Sequence[str],
    parameters: Mapping[str, Mapping[str, Any]],
    accept_changes: bool,
) -> PipelineRunView:
    """Run a past run again, with changes. See `BasePipeline.replay`."""
    stack = active_stack()
    record = past_run(stack.metadata_store, pipeline, run_name)
    past = Deployment.from_document(json.loads(stack.metadata_store.deployment(record.id)))
    steps = {step: StepSettings(parameters=values) for step, values in parameters.items()}
    pipeline.settings.append((PipelineSettings(_REPLAY, steps=steps), True))
    try:
        prepared = _prepare(pipeline, stack, past, _name(stack.metadata_store, run_name, "replayed"))
    finally:
        pipeline.settings.pop()
    deployment = prepared.compiled.deployment
    if not start and not parameters:
        start = [step.name for step in deployment.steps]
    again = frozenset(_behind(deployment, start))
    asked = {f"{step}.{name}" for step, values in parameters.items() for name in values}
    _check_changes(past, deployment, run_name, accepted=accept_changes, asked=asked)
    return _go_on(prepared, record, "replay", again)


def past_run(store: BaseMetadataStore, pipeline: BasePipeline, run_name: str) -> RunRecord:
    """The run of the pipeline of that name, which has ended. Raises DoesNotExistException, RunError."""
    record = store.run_by_name(run_name)
    if record is None:
        known = [known.name for known in store.runs(limit=1000, newest_first=True)]
        raise DoesNotExistException(
            f"There is no run '{run_name}' on the active stack.{nearest(run_name, known)}"
        )
    if record.pipeline != pipeline.name:
        raise RunError(
            f"The run '{run_name}' is one of the pipeline '{record.pipeline}', not of '{pipeline.name}'."
        )
    if not record.status.is_finished:
        raise RunError(
            f"The run '{run_name}' is still {record.status}: wait for its end, or cancel it with `zenml pipeline runs cancel {run_name}`."
        )
    return record


def changes(past: Deployment, present: Deployment) -> Iterator[str]:
    """What differs between two deployments of a pipeline that its results depend on, as a person reads it: by step."""
    before = {step.name: step for step in past.steps}
    now = {step.name: step for step in present.steps}
    for name in before:
        if name not in now:
            yield f"step '{name}': is gone"
    for name, step in now.items():
        if name not in before:
            yield f"step '{name}': is new"
        else:
            yield from (f"step '{name}': {what}" for what in _step_changes(before[name], step))


def _step_changes(before: StepSpec, now: StepSpec) -> Iterator[str]:
    yield from key_changes(fixed_parts(before), fixed_parts(now), before.parameters, now.parameters)
    for name in dict.fromkeys([*before.each, *now.each]):
        if before.each.get(name) != now.each.get(name):
            yield f"parameter {name}: {before.each.get(name)!r} → {now.each.get(name)!r}"
    if before.inputs != now.inputs or before.when != now.when:
        yield "what it is fed by changed"


def _check_changes(
    past: Deployment,
    present: Deployment,
    run_name: str,
    *,
    accepted: bool,
    asked: Collection[str] = (),
) -> None:
    found = [
        change
        for change in changes(past, present)
        if not (match := re.match(r"step '(.*)': parameter (\w+): ", change))
        or ".".join(match.groups()) not in asked
    ]
    if not found:
        return
    shown = "\n".join(f"  {change}" for change in found[:_SEVERAL])
    more = f"\n  and {len(found) - _SEVERAL} more" if len(found) > _SEVERAL else ""
    if not accepted:
        raise ChangedPipelineError(
            f"The pipeline has changed since the run '{run_name}':\n{shown}{more}\nAccept that with --accept-changes "
            "(in Python: accept_changes=True): what it concerns is executed again, everything else is taken over."
        )
    logger.info("The pipeline has changed since the run `%s`:\n%s%s", run_name, shown, more)


def _prepare(pipeline: BasePipeline, stack: Stack, past: Deployment, name: str) -> Prepared:
    check_stack(stack)
    return prepare(
        pipeline,
        stack,
        run_name=name,
        enable_cache=past.enable_cache,
        verify=past.verify,
        options=past.runtime_configuration,
        root=_root(past),
    )


def _root(past: Deployment) -> Path | None:
    """The source root of the past run, if its code is here: the command line's own program is in another folder."""
    root = Path(past.source_root)
    return root if past.source and root.is_dir() else None


def _go_on(prepared: Prepared, record: RunRecord, kind: str, again: frozenset[str]) -> PipelineRunView:
    store = prepared.stack.metadata_store
    results = store.results_of_run(record.id, prepared.stack.artifact_store.path)
    return execute(prepared, Past(Origin(kind, record.id), results, again))


def _behind(deployment: Deployment, start: Sequence[str]) -> set[str]:
    """The steps `start`, and all that depend on them. Raises DoesNotExistException."""
    names = [step.name for step in deployment.steps]
    for name in start:
        if name not in names:
            raise DoesNotExistException(
                f"The pipeline '{deployment.pipeline}' has no step '{name}' to start from.{nearest(name, names)}"
            )
    found = set(start)
    for step in deployment.steps:  # each stands behind what it waits for
        if not found.isdisjoint(step.upstream):
            found.add(step.name)
    return found


def _name(store: BaseMetadataStore, run_name: str, how: str) -> str:
    base = re.sub(r"-(resumed|replayed)(-\d+)?$", "", run_name)
    name, number = f"{base}-{how}", 1
    while store.run_by_name(name) is not None:
        number += 1
        name = f"{base}-{how}-{number}"
    return name
