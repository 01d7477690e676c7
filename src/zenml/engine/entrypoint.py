"""`python -m zenml.engine.entrypoint --task FILE`: execute one attempt of a step in this process.

Exit code 0 when the step completed, 1 when it failed (how is recorded in the metadata store), 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from zenml.engine.runner import Runner
from zenml.engine.tasks import read_document, task_of
from zenml.enums import ExecutionStatus
from zenml.model.deployment import Deployment
from zenml.stack import Stack
from zenml.stack.flavors import import_class
from zenml.steps import BaseStep


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the attempt that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m zenml.engine.entrypoint", description=__doc__)
    parser.add_argument(
        "--task", required=True, metavar="FILE", help="path or URL of the file that describes the attempt"
    )
    # What is imported below may run a pipeline without `if __name__ == "__main__"`: it must not, again and again.
    os.environ["ZENML_PREVENT_PIPELINE_EXECUTION"] = "true"
    document = read_document(parser.parse_args(arguments).task)
    deployment = Deployment.from_document(document["deployment"])
    root = Path(deployment.source_root)
    stack = Stack.from_spec(deployment.stack, root)
    task = task_of(document, stack.metadata_store)
    spec = deployment.step(task.step)
    step = BaseStep.load(spec.source, root)
    if chosen := {o.name: o.materializers for o in spec.outputs if o.materializers}:
        step.with_return_materializers(
            {name: [import_class(source, root) for source in sources] for name, sources in chosen.items()}
        )
    outcome = Runner(deployment, {task.step: step}, stack)(task)
    if outcome.error is not None:
        sys.stderr.write(outcome.error.traceback)
    return 0 if outcome.status is ExecutionStatus.COMPLETED else 1


if __name__ == "__main__":
    sys.exit(main())
