"""`python -m zenml.integrations.kubeflow.orchestrators.local_run FILE FOLDER`: run what the file describes with KFP's local runner."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kfp import components, local

from zenml.integrations.kubeflow.orchestrators.package import compile_package
from zenml.integrations.kubeflow.orchestrators.task import Task


def main(file: str, folder: str) -> None:
    """Compile it, run it, and start the process of its end, if it has one: the local runner knows no exit handlers."""
    document = json.loads(Path(file).read_text(encoding="utf-8"))
    package = Path(folder, "package.yaml")
    tasks = [Task(**task) for task in document["tasks"]]
    compile_package(package, document["name"], tasks, image=None, end=None)
    local.init(
        local.SubprocessRunner(use_venv=False),
        pipeline_root=str(Path(folder, "outputs")),
        workspace_root=str(Path(folder, "workspace")),
    )
    try:
        components.load_component_from_file(str(package))()
    finally:
        if document["end"]:
            subprocess.call([sys.executable, *document["end"]])


if __name__ == "__main__":
    main(*sys.argv[1:])
