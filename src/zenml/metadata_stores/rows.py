"""Between records and rows: what a metadata store's columns hold, and the records that its rows stand for."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml.enums import ExecutionStatus
from zenml.model.runs import (
    ArtifactRecord,
    AttemptRecord,
    ErrorRecord,
    FileEntry,
    Origin,
    Owner,
    RunRecord,
    StepDraft,
    StepRunRecord,
)

if TYPE_CHECKING:
    from zenml.metadata_stores.database import Row

_NO_ERROR = dict.fromkeys(("error_type", "error_message", "error_traceback"))

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def to_json(value: Any) -> str:
    return _encode(value if isinstance(value, list) else dict(value))


def to_text(text: str | None) -> str | None:
    """The text as every database can keep it: lone surrogates escaped, as JSON does it, and no NUL."""
    if text is None:
        return None
    return text.replace("\0", "\ufffd").encode("utf-8", "backslashreplace").decode()


@lru_cache(maxsize=64)
def owner_text(owner: Owner) -> str:
    return _encode(astuple(owner))


@lru_cache(maxsize=64)
def owner_of(text: str | None) -> Owner | None:
    return Owner(*json.loads(text)) if text else None


def error_columns(error: ErrorRecord) -> dict[str, Any]:
    return {
        "error_type": to_text(error.type),
        "error_message": to_text(error.message),
        "error_traceback": to_text(error.traceback),
    }


def failure_columns(error: ErrorRecord | None) -> dict[str, Any]:
    return dict(_NO_ERROR) if error is None else error_columns(error)


def error_of(type_: str | None, message: str, traceback: str) -> ErrorRecord | None:
    return None if type_ is None else ErrorRecord(type_, message, traceback)


def artifact_of(row: Row) -> ArtifactRecord:
    name, uri, store, artifact_type, data_type, materializer, manifest, digest, size, id, producer = row[:11]
    files = tuple([FileEntry(*entry) for entry in json.loads(manifest)])
    return ArtifactRecord(
        name, uri, store, artifact_type, data_type, materializer, files, digest, size, id, producer
    )


def artifact_columns(artifact: ArtifactRecord) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "uri": artifact.uri,
        "store": artifact.store,
        "artifact_type": artifact.artifact_type,
        "data_type": artifact.data_type,
        "materializer": artifact.materializer,
        "manifest": to_json([(f.path, f.size, f.sha256) for f in artifact.manifest]),
        "digest": artifact.digest,
        "size": artifact.size,
    }


def artifact_rows(step_run_id: int, artifacts: Sequence[ArtifactRecord]) -> list[dict[str, Any]]:
    return [
        {"step_run_id": step_run_id, "position": position, **artifact_columns(artifact)}
        for position, artifact in enumerate(artifacts)
    ]


def with_ids(
    artifacts: Sequence[ArtifactRecord], ids: Sequence[int], producer: int
) -> tuple[ArtifactRecord, ...]:
    return tuple(
        ArtifactRecord(
            a.name,
            a.uri,
            a.store,
            a.artifact_type,
            a.data_type,
            a.materializer,
            a.manifest,
            a.digest,
            a.size,
            id,
            producer,
        )
        for a, id in zip(artifacts, ids, strict=True)
    )


def input_rows(step_run_id: int, inputs: Mapping[str, int]) -> list[dict[str, Any]]:
    return [
        {"step_run_id": step_run_id, "position": position, "name": name, "artifact_id": artifact_id}
        for position, (name, artifact_id) in enumerate(inputs.items())
    ]


def step_columns(step: StepDraft) -> dict[str, Any]:
    return {
        "name": step.name,
        "map_index": step.map_index,
        "entrypoint_name": step.entrypoint_name,
        "parameters": to_json(step.parameters),
        "docstring": to_text(step.docstring),
    }


def metric_columns(name: str, value: float, step: int, recorded: float) -> dict[str, Any]:
    finite = math.isfinite(value)
    return {
        "name": name,
        "value": float(value) if finite else None,
        "special": None if finite else str(float(value)),
        "step": step,
        "recorded": recorded,
    }


def run_of(row: Row) -> RunRecord:
    return RunRecord(
        id=row[0],
        uuid=UUID(row[1]),
        pipeline=row[2],
        name=row[3],
        status=ExecutionStatus(row[4]),
        stack=row[5],
        runtime_configuration=json.loads(row[6]),
        created=row[7],
        ended=row[8],
        error=error_of(*row[9:12]),
        zenml_version=row[12],
        git_sha=row[13],
        owner=owner_of(row[14]),
        lease_until=row[15],
        cancel_requested=row[16],
        origin=Origin(row[17], row[18]) if row[17] else None,
    )


def step_of(row: Row) -> StepRunRecord:
    return StepRunRecord(
        id=row[0],
        run_id=row[1],
        name=row[2],
        entrypoint_name=row[3],
        map_index=row[4],
        status=ExecutionStatus(row[5]),
        parameters=json.loads(row[6]),
        docstring=row[7],
        cache_key=row[8],
        key_parts=json.loads(row[9]) if row[9] else {},
        source=row[10],
        attempts=row[11],
        started=row[12],
        ended=row[13],
        error=error_of(*row[14:17]),
        reason=row[17],
    )


def attempt_of(row: Row) -> AttemptRecord:
    return AttemptRecord(
        id=row[0],
        step_run_id=row[1],
        number=row[2],
        status=ExecutionStatus(row[3]),
        owner=Owner(*json.loads(row[4])),
        started=row[5],
        ended=row[6],
        error=error_of(*row[7:10]),
    )
