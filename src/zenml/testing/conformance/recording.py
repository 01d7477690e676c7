"""Short ways to write into a metadata store, for its tests."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from zenml.enums import ExecutionStatus
from zenml.liveness import this_process
from zenml.model.runs import (
    ArtifactRecord,
    CacheHit,
    CacheKey,
    Claim,
    ErrorRecord,
    FileEntry,
    InFlight,
    Owner,
    RunDraft,
    RunRegistration,
    StepDraft,
    manifest_digest,
)

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore

OWNER = Owner("process", "boot", "pid:[1]", 4711, 12.5)
"""A process of another machine: alive as long as its lease runs."""
DEAD = replace(this_process(), started=1.0)
"""A process of this machine that has ended; another one has its number now."""
ERROR = ErrorRecord("builtins.ValueError", "too small", "Traceback ...")


def draft(
    name: str = "run",
    *,
    pipeline: str = "digits",
    steps: Sequence[str | StepDraft] = ("load",),
    **changes: Any,
) -> RunDraft:
    """A run that is to be registered; a step is given by its name, or as it is."""
    fields: dict[str, Any] = {
        "pipeline": pipeline,
        "name": name,
        "uuid": uuid4(),
        "stack": "default",
        "deployment": "{}",
        "runtime_configuration": {},
        "steps": [s if isinstance(s, StepDraft) else StepDraft(s, s, {}) for s in steps],
        "owner": OWNER,
        "lease_until": time.time() + 60,
        "zenml_version": "0.1.0",
    }
    return RunDraft(**{**fields, **changes})


def register(store: BaseMetadataStore, name: str = "run", **fields: Any) -> RunRegistration:
    """Register a run."""
    return store.register_run(draft(name, **fields))


def artifact(name: str = "output", *, store: str = "/store", content: str = "a") -> ArtifactRecord:
    """A value that a step gave; its files exist nowhere."""
    manifest = (FileEntry("data.json", 3, content * 64),)
    return ArtifactRecord(
        name=name,
        uri=f"{store}/runs/{uuid4()}/{name}",
        store=store,
        artifact_type="zenml.artifacts.artifact.DataArtifact",
        data_type="builtins.int",
        materializer="zenml.materializers.scalar_materializer.ScalarMaterializer",
        manifest=manifest,
        digest=manifest_digest(manifest),
        size=3,
    )


def key(digest: str = "k", **parts: str) -> CacheKey:
    """A cache key."""
    return CacheKey(digest, parts)


def start(
    store: BaseMetadataStore, step_run_id: int, digest: str = "k", inputs: Mapping[str, int] | None = None
) -> Claim:
    """Begin an attempt of a step."""
    claim = store.start_attempt(
        step_run_id, key=key(digest), inputs=inputs or {}, owner=OWNER, lease_until=time.time() + 60
    )
    assert isinstance(claim, Claim)
    return claim


def share(store: BaseMetadataStore, step_run_id: int, digest: str = "k") -> Claim | InFlight:
    """Begin an attempt of a step, unless another run computes the same."""
    return store.start_attempt(
        step_run_id, key=key(digest), inputs={}, owner=OWNER, lease_until=time.time() + 60, shares=True
    )


def complete(
    store: BaseMetadataStore,
    step_run_id: int,
    digest: str = "k",
    *,
    inputs: Mapping[str, int] | None = None,
    artifacts: Sequence[ArtifactRecord] | None = None,
) -> tuple[ArtifactRecord, ...]:
    """Execute a step: begin an attempt and publish its outputs."""
    claim = start(store, step_run_id, digest, inputs)
    return store.complete_attempt(claim, (artifact(),) if artifacts is None else artifacts)


def hit(store: BaseMetadataStore, step_run_id: int, source: int, digest: str = "k") -> None:
    """End a step as a cached one."""
    store.record_hits([CacheHit(step_run_id, key(digest), {}, source)])


def finish(store: BaseMetadataStore, run: RunRegistration) -> None:
    """End a run as completed."""
    store.finish_run(run.run_id, ExecutionStatus.COMPLETED)


def instances(name: str, count: int) -> list[StepDraft]:
    """The instances of a mapped step."""
    return [StepDraft(name, name, {}, map_index=index) for index in range(count)]
