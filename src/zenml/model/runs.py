"""What happened: runs, steps, attempts and artifacts, as a metadata store takes and gives them.

Times are seconds since the epoch, UTC. Identifiers are the metadata store's own integers, except a run's `uuid`, which is unique
across stores and names the run's folder in the artifact store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from zenml.enums import ExecutionStatus


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a stored value: its path relative to the value's URI, with slashes; bytes; hexadecimal SHA-256."""

    path: str
    size: int
    sha256: str


def manifest_digest(files: Iterable[FileEntry]) -> str:
    """The digest of a stored value: SHA-256 over its files' sorted lines "sha256 size path"."""
    lines = "".join(f"{f.sha256} {f.size} {f.path}\n" for f in sorted(files, key=lambda f: f.path))
    return hashlib.sha256(lines.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class ArtifactRecord:
    """A stored value.

    `id` and `producer` (the step run that wrote it) are 0 until the metadata store has recorded it. `store` is the
    root of the artifact store that
    holds it; `uri` lies below. `artifact_type`, `data_type` and `materializer` are import paths.
    """

    name: str
    uri: str
    store: str
    artifact_type: str
    data_type: str
    materializer: str
    manifest: tuple[FileEntry, ...]
    digest: str
    size: int
    id: int = 0
    producer: int = 0


@dataclass(frozen=True, slots=True)
class Owner:
    """Who runs a run or an attempt: a process of a host, or an engine that can be asked for it.

    `kind` is "process" (judged dead or alive only where `boot_id` and `pid_namespace` are this process's own) or "engine"
    (`engine_id` is the orchestrator's own identifier of the task).
    """

    kind: str
    boot_id: str = ""
    pid_namespace: str = ""
    pid: int = 0
    started: float = 0.0
    engine_id: str = ""


@dataclass(frozen=True, slots=True)
class ErrorRecord:
    """An exception: its class, its message, and the traceback from the user's code on."""

    type: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class StepDraft:
    """A step of a run that is to be registered."""

    name: str
    entrypoint_name: str
    parameters: Mapping[str, Any]
    docstring: str | None = None
    map_index: int = -1
    """Position of this instance within a mapped step; -1 for a step that is not mapped."""


@dataclass(frozen=True, slots=True)
class RunDraft:
    """A run that is to be registered, with all its steps. `deployment` is the compiled pipeline's JSON text."""

    pipeline: str
    name: str
    uuid: UUID
    stack: str
    deployment: str
    runtime_configuration: Mapping[str, Any]
    steps: Sequence[StepDraft]
    owner: Owner
    lease_until: float
    zenml_version: str
    git_sha: str | None = None


@dataclass(frozen=True, slots=True)
class RunRegistration:
    """The identifiers of a registered run: its own, and those of its steps by name."""

    run_id: int
    step_run_ids: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class CacheKey:
    """The key of a step's result, and the digests of the parts that it was made from, by name."""

    digest: str
    parts: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to publish the outputs of a step: held by the attempt whose token is the step run's present one."""

    step_run_id: int
    attempt_id: int
    number: int
    token: int


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A step run that really ran, and its outputs in declared order."""

    step_run_id: int
    artifacts: tuple[ArtifactRecord, ...]


@dataclass(frozen=True, slots=True)
class CacheHit:
    """A step of a run that takes its outputs from `source`, the step run that really ran."""

    step_run_id: int
    key: CacheKey
    inputs: Mapping[str, int]
    source: int


@dataclass(frozen=True, slots=True)
class PipelineRecord:
    """A pipeline that has runs."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A recorded run, without its deployment."""

    id: int
    uuid: UUID
    pipeline: str
    name: str
    status: ExecutionStatus
    stack: str
    runtime_configuration: Mapping[str, Any]
    created: float
    ended: float | None
    error: ErrorRecord | None
    zenml_version: str
    git_sha: str | None
    owner: Owner | None = None
    lease_until: float | None = None
    cancel_requested: float | None = None


@dataclass(frozen=True, slots=True)
class StepRunRecord:
    """A recorded step of a run. `source` is the step run that a cached one takes its outputs from."""

    id: int
    run_id: int
    name: str
    entrypoint_name: str
    map_index: int
    status: ExecutionStatus
    parameters: Mapping[str, Any]
    docstring: str | None
    cache_key: str | None
    key_parts: Mapping[str, str]
    source: int | None
    attempts: int
    started: float | None
    ended: float | None
    error: ErrorRecord | None
    reason: str | None = None
    """Why a skipped step was skipped."""


@dataclass(frozen=True, slots=True)
class MetricRecord:
    """A number that a step logged. `step` counts within a series (an epoch, an iteration)."""

    step_run_id: int
    name: str
    value: float
    step: int
    recorded: float


@dataclass(frozen=True)
class StepTask:
    """One attempt of a step that is to be executed: all that the runner needs besides the deployment and the stack."""

    run_id: int
    step_run_id: int
    step: str
    key: CacheKey
    inputs: Mapping[str, ArtifactRecord] = field(default_factory=dict)


@dataclass(frozen=True)
class StepOutcome:
    """How an attempt ended. `exception` is the step's own one where it was raised in this process."""

    task: StepTask
    status: ExecutionStatus
    artifacts: tuple[ArtifactRecord, ...] = ()
    error: ErrorRecord | None = None
    exception: BaseException | None = None
