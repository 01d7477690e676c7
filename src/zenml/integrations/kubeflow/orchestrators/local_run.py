"""`python -m zenml.integrations.kubeflow.orchestrators.local_run FILE FOLDER`: run what the file describes with KFP's local runner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kfp import local

from zenml.integrations.kubeflow.orchestrators.package import make_pipeline
from zenml.integrations.kubeflow.orchestrators.task import Task


def main(file: str, folder: str) -> None:
    """Compile it, run it, and start the process of its end, if it has one: the local runner knows no exit handlers."""
    document = json.loads(Path(file).read_text(encoding="utf-8"))
    tasks = [Task(**task) for task in document["tasks"]]
    pipeline = make_pipeline(document["name"], tasks, image=None, end=None)
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(Path(folder, "outputs")),
        workspace_root=str(Path(folder, "workspace")),
    )
    try:
        pipeline()
    finally:
        if document["end"]:
            subprocess.call([sys.executable, *document["end"]])


if __name__ == "__main__":
    main(*sys.argv[1:])
