"""An attempt of a step as a file, for a process elsewhere: the deployment and the task, in the artifact store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from zenml.model.json import canonical
from zenml.model.runs import CacheKey, StepTask

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.deployment import Deployment


def write_task(task: StepTask, deployment: Deployment, store: BaseArtifactStore) -> str:
    """Write the file into the run's folder; gives its path. It holds no secret: the stack's records hold references."""
    folder = f"{store.path.rstrip('/')}/runs/{deployment.run_uuid}/tasks"
    store.makedirs(folder)
    path = f"{folder}/{task.step_run_id}.json"
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
    with store.open(path, "w") as file:
        file.write(canonical(document))
    return path


def read_document(path: str) -> dict[str, Any]:
    """The content of such a file, wherever it lies."""
    if "://" not in path:
        with open(path, encoding="utf-8") as file:  # noqa: PTH123 - the same verb as below
            return dict(json.load(file))
    import fsspec

    with fsspec.open(path, "r", encoding="utf-8") as file:
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
