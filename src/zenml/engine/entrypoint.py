"""`python -m zenml.engine.entrypoint --task FILE`: execute one attempt of a step in this process.

Exit code 0 when the step completed, 1 when it failed (how is recorded in the metadata store), 2 for wrong arguments.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.engine.capture import own_process
from zenml.engine.errors import error_record
from zenml.engine.runner import Runner, is_retried
from zenml.engine.tasks import read_document, task_of
from zenml.enums import ExecutionStatus
from zenml.exceptions import StepTimeoutError
from zenml.model.deployment import Deployment
from zenml.stack import Stack
from zenml.stack.flavors import import_class
from zenml.steps import BaseStep

if TYPE_CHECKING:
    from zenml.model.deployment import StepSpec
    from zenml.model.runs import StepTask


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
    with _limited(spec, task, stack):
        outcome = Runner(deployment, {task.step: step}, stack)(task)
    if outcome.error is not None:
        sys.stderr.write(outcome.error.traceback)
    return 0 if outcome.status is ExecutionStatus.COMPLETED else 1


@contextmanager
def _limited(spec: StepSpec, task: StepTask, stack: Stack) -> Iterator[None]:
    """End this process when the step has taken longer than it may: whoever started it does not watch the time."""
    if spec.timeout is None:
        yield
        return

    def end() -> None:
        error = StepTimeoutError(
            f"The step '{task.label}' took longer than its timeout of {spec.timeout:g} seconds, and was ended."
        )
        attempt = stack.metadata_store.step(task.step_run_id).attempts
        stack.metadata_store.fail_step(
            task.step_run_id, error_record(error), final=not is_retried(spec.retry, attempt, error)
        )
        os._exit(1)

    timer = threading.Timer(spec.timeout, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


if __name__ == "__main__":
    with own_process():
        status = main()
    sys.exit(status)
