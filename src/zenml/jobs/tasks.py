"""An attempt of a step on its way to a job: deployment and task as a file in the artifact store, and how the job gets at it."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.enums import StackComponentType
from zenml.jobs.secrets import received_secrets
from zenml.model.deployment import StackSpec
from zenml.model.json import canonical
from zenml.model.records import ComponentRecord, FlavorRecord
from zenml.model.runs import CacheKey, StepTask
from zenml.stack import Stack
from zenml.stack.flavors import find_flavor

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.deployment import Deployment

SOURCE_ROOT = "ZENML_SOURCE_ROOT"
"""The environment variable that says in an image where it has the project's files."""

IN_FLIGHT = ".in_flight"
"""Ending of the name of a file beside a task's: it says which step run of another run is computing the same result."""

_CARRIED = FlavorRecord(
    StackComponentType.SECRETS_MANAGER,
    "carried",
    "zenml.secrets_managers.carried_secrets_manager.CarriedSecretsManager",
)


def write_task(task: StepTask, deployment: Deployment, store: BaseArtifactStore) -> str:
    """Write the file into the run's folder; gives its path. It holds no secret: the stack's records hold references."""
    document = {
        "deployment": deployment.to_document(),
        "run_id": task.run_id,
        "step_run_id": task.step_run_id,
        "step": task.step,
        "map_index": task.map_index,
        "reason": task.reason,
        "shares": task.shares,
        "key": task.key.digest,
        "parts": dict(task.key.parts),
        "inputs": {name: artifact.id for name, artifact in task.inputs.items()},
    }
    return write_document(document, deployment, store, f"{task.step_run_id}.json")


def write_document(
    document: dict[str, Any], deployment: Deployment, store: BaseArtifactStore, name: str
) -> str:
    """Write JSON data into the run's folder of tasks; gives the path."""
    folder = f"{store.path.rstrip('/')}/runs/{deployment.run_uuid}/tasks"
    store.makedirs(folder)
    path = f"{folder}/{name}"
    with store.open(path, "w") as file:
        file.write(canonical(document))
    return path


def read_document(path: str, store: BaseArtifactStore) -> dict[str, Any]:
    """The content of such a file."""
    with store.open(path) as file:
        return dict(json.load(file))


def task_of(document: dict[str, Any], store: BaseMetadataStore) -> StepTask:
    """The task of such a document; its inputs are looked up in the metadata store."""
    return StepTask(
        run_id=document["run_id"],
        step_run_id=document["step_run_id"],
        step=document["step"],
        key=CacheKey(document["key"], document["parts"]),
        inputs={name: store.artifact(id_) for name, id_ in document["inputs"].items()},
        map_index=document["map_index"],
        reason=document["reason"],
        shares=document["shares"],
    )


def packed_stack(spec: StackSpec) -> str:
    """The records that a process needs to open the artifact store, as one word for a command line. It holds no secret, but references."""
    wanted = (StackComponentType.ARTIFACT_STORE, StackComponentType.SECRETS_MANAGER)
    document = {
        "name": spec.name,
        "components": {
            spec.components[t].key: spec.components[t].to_document() for t in wanted if t in spec.components
        },
        "flavors": {f.key: f.to_document() for f in spec.flavors if f.type in wanted},
    }
    # Nothing that a shell, a template or YAML could take for its own.
    return base64.urlsafe_b64encode(zlib.compress(canonical(document).encode())).decode()


def unpacked_store(words: Sequence[str]) -> BaseArtifactStore:
    """The artifact store of what `packed_stack` gave, which may have been cut into several words."""
    document = json.loads(zlib.decompress(base64.urlsafe_b64decode("".join(words))))
    records = [ComponentRecord.from_document(key, value) for key, value in document["components"].items()]
    spec = StackSpec(
        document["name"],
        {record.type: record for record in records},
        tuple(FlavorRecord.from_document(key, value) for key, value in document["flavors"].items()),
    )
    part, broken = Stack.from_spec_in_part(_stack_in_jobs(spec), Path(os.environ.get(SOURCE_ROOT, "")))
    for error in broken.values():
        raise error
    return part.artifact_store


def stack_of_job(deployment: Deployment, store: BaseArtifactStore, *, has_operator: bool = False) -> Stack:
    """The stack of a deployment that was read from `store`, which is its artifact store: it has a connection already."""
    spec = _stack_in_jobs(deployment.stack, has_operator=has_operator)
    stack = Stack.from_spec(spec, Path(deployment.source_root))
    return Stack.from_components(stack.name, {**stack.components, store.TYPE: store})


def _stack_in_jobs(spec: StackSpec, *, has_operator: bool = False) -> StackSpec:
    """The stack as a job sees it: with the secrets that it was given, in place of a secrets manager that it cannot reach.

    What starts jobs is not needed in them, nor are the libraries for it: an orchestrator of an integration is stood for by the local one, a
    step operator left out, unless the job hands its step on to that.
    """
    spec = replace(spec, components=dict(_needed_in_jobs(spec, has_operator=has_operator)))
    type_ = StackComponentType.SECRETS_MANAGER
    if received_secrets() is None or type_ not in spec.components:
        return spec
    carried = replace(spec.components[type_], flavor=_CARRIED.name, configuration={}, secret_fields=())
    flavors = (*(f for f in spec.flavors if f.type is not type_), _CARRIED)
    return replace(spec, components={**spec.components, type_: carried}, flavors=flavors)


def _needed_in_jobs(
    spec: StackSpec, *, has_operator: bool
) -> Iterator[tuple[StackComponentType, ComponentRecord]]:
    starting = {StackComponentType.ORCHESTRATOR} | (
        set() if has_operator else {StackComponentType.STEP_OPERATOR}
    )
    for type_, record in spec.components.items():
        if type_ not in starting or find_flavor(type_, record.flavor, spec.flavors).integration is None:
            yield type_, record
        elif type_ is StackComponentType.ORCHESTRATOR:
            yield type_, replace(record, flavor="local", configuration={}, secret_fields=())
