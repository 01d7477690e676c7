"""The graph of a run: its steps, the values between them, and what came from what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenml.enums import ExecutionStatus
    from zenml.model.deployment import Deployment, OutputSpec, StepSpec
    from zenml.model.housekeeping import RunHistory
    from zenml.model.runs import ArtifactRecord, ErrorRecord, RunRecord, StepRunRecord


@dataclass(frozen=True, slots=True)
class StepNode:
    """A step; a mapped one stands for its instances, which are counted by status. `started` is in seconds since the epoch."""

    name: str
    status: ExecutionStatus
    entrypoint_name: str
    parameters: Mapping[str, Any]
    seconds: float | None = None
    started: float | None = None
    attempts: int = 0
    error: ErrorRecord | None = None
    reason: str | None = None
    cache_key: str | None = None
    instances: Mapping[ExecutionStatus, int] | None = None

    @property
    def id(self) -> str:
        """Identifies the node within the graph."""
        return f"step:{self.name}"

    @property
    def label(self) -> str:
        """The name, with the number of instances."""
        return self.name if self.instances is None else f"{self.name} ×{sum(self.instances.values())}"  # noqa: RUF001

    @property
    def counts(self) -> str:
        """The instances by status: "48 completed, 2 failed"; empty for a step that is not mapped, or not yet spread over its items."""
        return ", ".join(f"{number} {status}" for status, number in (self.instances or {}).items())

    @property
    def note(self) -> str:
        """What is remarkable: how the instances went, how often it was tried, what it failed of or why it was skipped."""
        attempts = f"{self.attempts} attempts" if self.attempts > 1 else ""
        cause = first_line(self.error) if self.error else self.reason
        return "; ".join(filter(None, [self.counts, attempts, cause]))


@dataclass(frozen=True, slots=True)
class ArtifactNode:
    """An output of a step: the value, or None where the step has not given it; of a mapped step, `count` values.

    Of a value that `is_removed`, the files are gone.
    """

    step: str
    name: str
    annotation: str
    value: ArtifactRecord | None = None
    is_cached: bool = False
    is_removed: bool = False
    count: int | None = None

    @property
    def id(self) -> str:
        """Identifies the node within the graph."""
        return f"artifact:{self.step}/{self.name}"

    @property
    def label(self) -> str:
        """The name, with the number of values."""
        return self.name if self.count is None else f"{self.name} ×{self.count}"  # noqa: RUF001

    @property
    def type_name(self) -> str:
        """The name of the value's class, else the declared type."""
        return self.value.data_type.rpartition(".")[2] if self.value else self.annotation

    @property
    def exists(self) -> bool:
        """Whether the step has given it, and it was not removed."""
        return (self.value is not None and not self.is_removed) or bool(self.count)


@dataclass(frozen=True, slots=True)
class Edge:
    """From node to node, by their ids.

    `kind` is "output" (step to artifact), "input" (artifact to step, `name` is the input's), "when" (artifact to a step that runs only if
    it is as `name` says) or "after" (a step that waits for another without reading from it).
    """

    source: str
    target: str
    kind: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class RunGraph:
    """The graph of a run. Steps are in topological order; each edge leads from an earlier step, or its artifact, to a later one."""

    run: RunRecord
    steps: tuple[StepNode, ...]
    artifacts: tuple[ArtifactNode, ...]
    edges: tuple[Edge, ...]

    @property
    def counts(self) -> Counter[ExecutionStatus]:
        """The number of steps by status."""
        return Counter(step.status for step in self.steps)

    @property
    def summary(self) -> str:
        """What the graph shows, as a sentence."""
        counts = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        return f"{len(self.steps)} steps: {counts}."

    def to_document(self) -> dict[str, Any]:
        """The graph as JSON data."""
        return {
            "run": self.run.name,
            "pipeline": self.run.pipeline,
            "status": self.run.status.value,
            "nodes": [*map(_step_document, self.steps), *map(_artifact_document, self.artifacts)],
            "edges": [
                {"source": e.source, "target": e.target, "kind": e.kind, "name": e.name} for e in self.edges
            ],
        }


def first_line(error: ErrorRecord) -> str:
    """An exception as a line: its class, and the first line of its message."""
    return f"{error.type}: {error.message.strip()}".partition("\n")[0]


def graph_of(deployment: Deployment, history: RunHistory, *, now: float) -> RunGraph:
    """The graph of a run from what is recorded of it. What has not ended took its time until `now`, seconds since the epoch."""
    instances: dict[str, list[StepRunRecord]] = {}
    for record in history.steps:
        if record.map_index >= 0:
            instances.setdefault(record.name, []).append(record)
    steps = {record.name: record for record in history.steps if record.map_index < 0}
    return RunGraph(
        history.run,
        tuple(_step_node(record, instances.get(record.name), now) for record in steps.values()),
        tuple(
            _artifact_node(steps[spec.name], output, instances.get(spec.name), history)
            for spec in deployment.steps
            for output in spec.outputs
        ),
        tuple(edge for spec in deployment.steps for edge in _edges(spec)),
    )


def _step_node(record: StepRunRecord, instances: Sequence[StepRunRecord] | None, now: float) -> StepNode:
    return StepNode(
        name=record.name,
        status=record.status,
        entrypoint_name=record.entrypoint_name,
        parameters=record.parameters,
        seconds=None if record.started is None else (record.ended or now) - record.started,
        started=record.started,
        attempts=record.attempts,
        error=record.error,
        reason=record.reason,
        cache_key=record.cache_key,
        instances=None if instances is None else Counter(instance.status for instance in instances),
    )


def _artifact_node(
    record: StepRunRecord,
    output: OutputSpec,
    instances: Sequence[StepRunRecord] | None,
    history: RunHistory,
) -> ArtifactNode:
    if instances is not None:  # a mapped step's own values are the items that it was spread over
        given = sum(output.name in history.outputs.get(instance.id, ()) for instance in instances)
        return ArtifactNode(record.name, output.name, output.annotation, count=given)
    value = history.outputs.get(record.id, {}).get(output.name)
    return ArtifactNode(
        record.name,
        output.name,
        output.annotation,
        value,
        is_cached=value is not None and value.producer != record.id,
        is_removed=value is not None and value.id in history.removed,
    )


def _edges(spec: StepSpec) -> Iterator[Edge]:
    step = f"step:{spec.name}"
    sources = set()
    for name, source in spec.inputs.items():
        sources.add(source.step)
        yield Edge(f"artifact:{source.step}/{source.output}", step, "input", name)
    if spec.when is not None:
        sources.add(spec.when.step)
        from zenml.steps.conditions import words

        yield Edge(f"artifact:{spec.when.step}/{spec.when.output}", step, "when", words(spec.when))
    for upstream in dict.fromkeys(spec.upstream):
        if upstream not in sources:
            yield Edge(f"step:{upstream}", step, "after")
    for output in spec.outputs:
        yield Edge(step, f"artifact:{spec.name}/{output.name}", "output")


def _step_document(step: StepNode) -> dict[str, Any]:
    return {
        "id": step.id,
        "kind": "step",
        "name": step.name,
        "status": step.status.value,
        "entrypoint_name": step.entrypoint_name,
        "parameters": dict(step.parameters),
        "started": step.started,
        "seconds": None if step.seconds is None else round(step.seconds, 3),
        "attempts": step.attempts,
        "error": None if step.error is None else f"{step.error.type}: {step.error.message}",
        "reason": step.reason,
        "cache_key": step.cache_key,
        "instances": None
        if step.instances is None
        else {status.value: number for status, number in step.instances.items()},
    }


def _artifact_document(artifact: ArtifactNode) -> dict[str, Any]:
    value = artifact.value
    return {
        "id": artifact.id,
        "kind": "artifact",
        "name": artifact.name,
        "step": artifact.step,
        "declared_type": artifact.annotation,
        "count": artifact.count,
        "is_cached": artifact.is_cached,
        "is_removed": artifact.is_removed,
        "data_type": value and value.data_type,
        "uri": value and value.uri,
        "size": value and value.size,
        "digest": value and value.digest,
    }
