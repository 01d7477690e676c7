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

from zenml.enums import ExecutionStatus
from zenml.exceptions import StepCrashedError

if TYPE_CHECKING:
    from typing_extensions import Self


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
    is_interruptible: bool = False
    """Whether SIGINT reaches what it executes: a run in the process's main thread."""


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
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """The earlier run that a run goes on from. `kind` is "resume" or "replay"."""

    kind: str
    run_id: int


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
class InFlight:
    """Another run is computing the same result at this moment: in the step run `step_run_id`."""

    step_run_id: int


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A step run that really ran, its outputs in declared order, and when it ended."""

    step_run_id: int
    artifacts: tuple[ArtifactRecord, ...]
    ended: float = 0.0


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
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class StepRunRecord:
    """A recorded step of a run, or one instance of a mapped one (`map_index` from 0 on; -1 is the step itself).

    `source` is the step run that a cached one takes its outputs from.
    """

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
    """Why a skipped step was skipped; why one that ran was not taken from the cache, where its key alone does not tell."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """One attempt of a step run; the first one has the number 1."""

    id: int
    step_run_id: int
    number: int
    status: ExecutionStatus
    owner: Owner
    started: float
    ended: float | None
    error: ErrorRecord | None


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
    """One attempt of a step that is to be executed: all that the runner needs besides the deployment and the stack.

    `map_index` is that of an instance of a mapped step. An input that collects the outputs of a mapped step has one entry for each,
    called "name[0]", "name[1]" ... `reason` is why there was no cached result, where the key alone does not tell. With `shares`, the
    attempt gives way to another run that computes the same result at this moment.
    """

    run_id: int
    step_run_id: int
    step: str
    key: CacheKey
    inputs: Mapping[str, ArtifactRecord] = field(default_factory=dict)
    map_index: int = -1
    reason: str | None = None
    shares: bool = False

    @property
    def label(self) -> str:
        """The step as people know it: "train", or "train[3]"."""
        return self.step if self.map_index < 0 else f"{self.step}[{self.map_index}]"


@dataclass(frozen=True)
class StepOutcome:
    """How an attempt ended. `exception` is the step's own one where it was raised in this process.

    `final` is False for a failed attempt that another one shall follow. `is_recorded` is False where the attempt's process could not
    record its end itself: it was killed, or died. `in_flight` is the step run that the attempt has given way to; it was not started then.
    """

    task: StepTask
    status: ExecutionStatus
    artifacts: tuple[ArtifactRecord, ...] = ()
    error: ErrorRecord | None = None
    exception: BaseException | None = None
    final: bool = True
    is_recorded: bool = True
    in_flight: int | None = None

    @classmethod
    def given_up(cls, task: StepTask) -> Self:
        """That of an attempt which was ended, or never began."""
        return cls(task, ExecutionStatus.CANCELLED, is_recorded=False)

    @classmethod
    def crashed(cls, task: StepTask, reason: str) -> Self:
        """That of an attempt whose process died."""
        return cls(task, ExecutionStatus.CRASHED, exception=StepCrashedError(reason), is_recorded=False)


@dataclass(frozen=True)
class Ending:
    """How a step or, without `step`, a run has ended: what hooks are called with. `exception` is the original one where it is at hand."""

    pipeline: str
    run: str
    status: ExecutionStatus
    step: str | None = None
    error: ErrorRecord | None = None
    exception: BaseException | None = None


def attempt_folder(store: str, run_uuid: UUID, step: str, map_index: int, number: int) -> str:
    """Where an attempt writes, below the root of the artifact store `store`: its log, and a folder for each output."""
    name = f"{step}.{number}" if map_index < 0 else f"{step}/{map_index}.{number}"
    return f"{store.rstrip('/')}/runs/{run_uuid}/{name}"


def code_folder(store: str, metadata_store: UUID) -> str:
    """Where the project's files lie that runs of a metadata store were sent with, below the root of the artifact store `store`.

    They are archives, each in the folder of the day (UTC) on which the runs began: no run of a later day is given it.
    """
    return f"{store.rstrip('/')}/code/{metadata_store}"


LOG_FILE = "log.txt"
"""Name of the file in an attempt's folder that holds what the step printed and logged."""
