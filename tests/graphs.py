"""Graphs of runs that never were."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from zenml.enums import ExecutionStatus
from zenml.model.deployment import Deployment, InputSpec, OutputSpec, StackSpec, StepSpec
from zenml.model.housekeeping import RunHistory
from zenml.model.runs import ArtifactRecord, RunRecord, StepRunRecord
from zenml.post_execution.graph import RunGraph, graph_of

UUID_OF_RUN = UUID("12345678-1234-5678-1234-567812345678")


def spec(
    name: str,
    inputs: Mapping[str, tuple[str, ...]] | None = None,
    outputs: Sequence[str] = ("output",),
    after: Sequence[str] = (),
    **fields: Any,
) -> StepSpec:
    sources = {key: InputSpec(*source) for key, source in (inputs or {}).items()}
    when = [fields["when"].step] if fields.get("when") else []
    return StepSpec(
        name,
        f"module:{name}",
        name,
        inputs=sources,
        upstream=tuple(dict.fromkeys([*(s.step for s in sources.values()), *after, *when])),
        outputs=tuple(OutputSpec(output, "int") for output in outputs),
        **fields,
    )


def record(name: str, status: str = "completed", index: int = -1, **fields: Any) -> StepRunRecord:
    started = None if status in ("pending", "skipped") else 100.0
    values = {
        "id": hash((name, index)),
        "run_id": 1,
        "name": name,
        "entrypoint_name": name,
        "map_index": index,
        "status": ExecutionStatus(status),
        "parameters": {},
        "docstring": None,
        "cache_key": None,
        "key_parts": {},
        "source": None,
        "attempts": 1,
        "started": started,
        "ended": started and 101.5,
        "error": None,
    }
    return StepRunRecord(**{**values, **fields})


def artifact(name: str = "output", producer: int = 1, **fields: Any) -> ArtifactRecord:
    values = {
        "name": name,
        "uri": f"/store/runs/1/{name}",
        "store": "/store",
        "artifact_type": "zenml.artifacts.artifact.DataArtifact",
        "data_type": "pandas.core.frame.DataFrame",
        "materializer": "a.Materializer",
        "manifest": (),
        "digest": "d" * 64,
        "size": 123456,
        "producer": producer,
    }
    return ArtifactRecord(**{**values, **fields})


def graph(
    specs: Sequence[StepSpec],
    records: Sequence[StepRunRecord] = (),
    *,
    instances: Mapping[str, Sequence[StepRunRecord]] | None = None,
    outputs: Mapping[str, Mapping[str, ArtifactRecord]] | None = None,
    removed: Sequence[int] = (),
    name: str = "monday",
    pipeline: str = "training",
) -> RunGraph:
    """The graph of a run of these steps, which have completed unless there are records that say otherwise."""
    run = RunRecord(
        id=1,
        uuid=UUID_OF_RUN,
        pipeline=pipeline,
        name=name,
        status=ExecutionStatus.COMPLETED,
        stack="default",
        runtime_configuration={},
        created=100.0,
        ended=130.0,
        error=None,
        zenml_version="0.1.0",
        git_sha=None,
    )
    deployment = Deployment(
        pipeline=pipeline,
        run_name=name,
        run_uuid=UUID_OF_RUN,
        steps=tuple(specs),
        stack=StackSpec("default", {}),
    )
    steps = list(records or [record(spec.name) for spec in specs])
    by_name = {step.name: step.id for step in steps}
    history = RunHistory(
        run=run,
        deployment="",
        steps=[*steps, *(instance for found in (instances or {}).values() for instance in found)],
        outputs={
            **{by_name[name]: values for name, values in (outputs or {}).items()},
            **{
                instance.id: {"output": artifact()}
                for found in (instances or {}).values()
                for instance in found
                if instance.status.is_successful
            },
        },
        removed=dict.fromkeys(removed, 120.0),
    )
    return graph_of(deployment, history, now=160.0)
