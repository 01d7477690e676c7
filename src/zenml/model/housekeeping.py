"""What a metadata store gives and takes when artifacts are listed, and runs are pruned, deleted, compared or moved elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import UUID

if TYPE_CHECKING:
    from zenml.enums import ExecutionStatus
    from zenml.model.runs import ArtifactRecord, AttemptRecord, MetricRecord, RunRecord, StepRunRecord

Rows: TypeAlias = Mapping[str, Sequence[Mapping[str, Any]]]
"""Rows by the name of their table, each with its columns by name: JSON data."""


@dataclass(frozen=True, slots=True)
class RecordedArtifact:
    """An artifact, and the step run that wrote it; `created` is when that ended, `removed` when its files were pruned."""

    artifact: ArtifactRecord
    pipeline: str
    run: str
    step: str
    map_index: int
    created: float | None
    removed: float | None


@dataclass(frozen=True, slots=True)
class ArtifactUse:
    """A step run that wrote an artifact ("output"), took it from the cache ("cached output"), or read it ("input").

    `name` is that of the output or input.
    """

    kind: str
    name: str
    run: str
    step: str
    map_index: int


@dataclass(frozen=True, slots=True)
class EndedRun:
    """What decides whether a run that has ended is kept. `is_origin` says that one in progress goes on from it."""

    id: int
    uuid: UUID
    pipeline: str
    name: str
    status: ExecutionStatus
    ended: float
    is_origin: bool


@dataclass(frozen=True, slots=True)
class UnpublishedAttempt:
    """An attempt of a run that has ended which published nothing: what lies in its folder besides its log is garbage."""

    run_uuid: UUID
    step: str
    map_index: int
    number: int


@dataclass(frozen=True)
class RunHistory:
    """All that is recorded of a run.

    `steps` holds instances of mapped steps, too. `attempts` ... `logged_parameters` go by the id of the step run, and leave out those
    that have none. A cached step's outputs are those of its source.
    """

    run: RunRecord
    deployment: str
    steps: Sequence[StepRunRecord]
    attempts: Mapping[int, Sequence[AttemptRecord]] = field(default_factory=dict)
    inputs: Mapping[int, Mapping[str, ArtifactRecord]] = field(default_factory=dict)
    outputs: Mapping[int, Mapping[str, ArtifactRecord]] = field(default_factory=dict)
    metrics: Mapping[int, Sequence[MetricRecord]] = field(default_factory=dict)
    logged_parameters: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    removed: Mapping[int, float] = field(default_factory=dict)
    """When the files of an artifact were removed, by the artifact's id; without those that were not."""
