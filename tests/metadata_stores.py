"""Stores over each database, and short ways to write into them."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import make_url

from zenml.enums import ExecutionStatus
from zenml.liveness import this_process
from zenml.metadata_stores import BaseMetadataStore, MySQLMetadataStore, PostgreSQLMetadataStore
from zenml.model.runs import (
    ArtifactRecord,
    CacheHit,
    CacheKey,
    Claim,
    FileEntry,
    InFlight,
    Owner,
    RunDraft,
    RunRegistration,
    StepDraft,
    manifest_digest,
)

StoreT = TypeVar("StoreT", bound=BaseMetadataStore)

OWNER = Owner("process", "boot", "pid:[1]", 4711, 12.5)
"""A process of another machine: alive as long as its lease runs."""
DEAD = replace(this_process(), started=1.0)
"""A process of this machine that has ended; another one has its number now."""


def server_store(url: str, **changes: Any) -> BaseMetadataStore:
    parts = make_url(url)
    class_ = PostgreSQLMetadataStore if parts.drivername.startswith("postgresql") else MySQLMetadataStore
    fields = {
        "name": "remote",
        "host": parts.host,
        "port": parts.port,
        "username": parts.username,
        "password": parts.password,
        "database": parts.database,
    }
    return class_(**{**fields, **changes})


def apart(store: StoreT, **options: Any) -> StoreT:
    """The same store over connections of its own; `options` are further arguments of its `Database`."""
    copy = type(store)(**{name: getattr(store, name) for name in type(store).model_fields})
    kind, place = store._place()
    copy._databases[os.getpid()] = kind(**place, **options)
    return copy


def draft(
    name: str = "run",
    *,
    pipeline: str = "digits",
    steps: Sequence[str | StepDraft] = ("load",),
    **changes: Any,
) -> RunDraft:
    fields = {
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
    return store.register_run(draft(name, **fields))


def artifact(name: str = "output", *, store: str = "/store", content: str = "a") -> ArtifactRecord:
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
    return CacheKey(digest, parts)


def start(
    store: BaseMetadataStore, step_run_id: int, digest: str = "k", inputs: Mapping[str, int] | None = None
) -> Claim:
    claim = store.start_attempt(
        step_run_id, key=key(digest), inputs=inputs or {}, owner=OWNER, lease_until=time.time() + 60
    )
    assert isinstance(claim, Claim)
    return claim


def share(store: BaseMetadataStore, step_run_id: int, digest: str = "k") -> Claim | InFlight:
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
    claim = start(store, step_run_id, digest, inputs)
    return store.complete_attempt(claim, (artifact(),) if artifacts is None else artifacts)


def hit(store: BaseMetadataStore, step_run_id: int, source: int, digest: str = "k") -> None:
    store.record_hits([CacheHit(step_run_id, key(digest), {}, source)])


def finish(store: BaseMetadataStore, run: RunRegistration) -> None:
    store.finish_run(run.run_id, ExecutionStatus.COMPLETED)


def instances(name: str, count: int) -> list[StepDraft]:
    return [StepDraft(name, name, {}, map_index=index) for index in range(count)]
