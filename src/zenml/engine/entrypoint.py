"""`python -m zenml.engine.entrypoint --task PATH --stack WORD...`: execute one attempt of a step in this process.

PATH lies in the artifact store that the words describe (`zenml.jobs.tasks`). Exit code 0 when the step completed, 1 when it failed (how is
recorded in the metadata store), 2 for wrong arguments. The process ends when the step takes too long, or when its run has ended.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.engine.capture import own_process
from zenml.engine.code_archive import located
from zenml.engine.errors import error_record
from zenml.engine.process_end import end_process
from zenml.engine.runner import Runner, is_retried
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunCancelledError, StepTimeoutError, StoreError, ZenMLBaseException
from zenml.jobs.tasks import IN_FLIGHT, read_document, stack_of_job, task_of, unpacked_store
from zenml.model.deployment import Deployment
from zenml.model.json import canonical
from zenml.stack.flavors import import_class
from zenml.steps import BaseStep

if TYPE_CHECKING:
    from zenml.model.deployment import StepSpec
    from zenml.model.runs import StepTask
    from zenml.stack import Stack

_LOOK = 2.0
"""Seconds between two looks whether the run goes on."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute the attempt that the arguments name."""
    parser = argparse.ArgumentParser(prog="python -m zenml.engine.entrypoint", description=__doc__)
    parser.add_argument("--task", required=True, metavar="PATH", help="the file that describes the attempt")
    parser.add_argument(
        "--stack",
        required=True,
        nargs="+",
        metavar="WORD",
        help="what opens the artifact store that it is in",
    )
    # What is imported below may run a pipeline without `if __name__ == "__main__"`: it must not, again and again.
    os.environ["ZENML_PREVENT_PIPELINE_EXECUTION"] = "true"
    given = parser.parse_args(arguments)
    store = unpacked_store(given.stack)
    document = read_document(given.task, store)
    deployment = located(Deployment.from_document(document["deployment"]), store)
    stack = stack_of_job(deployment, store)
    task = task_of(document, stack.metadata_store)
    step = load_step(deployment, task.step)
    with _watched(deployment.step(task.step), task, stack):
        outcome = Runner(deployment, {task.step: step}, stack)(task)
    if outcome.error is not None:
        sys.stderr.write(outcome.error.traceback)
    if outcome.in_flight is not None:
        with stack.artifact_store.open(given.task + IN_FLIGHT, "w") as file:
            file.write(canonical({"step_run_id": outcome.in_flight}))
        return 0
    return 0 if outcome.status is ExecutionStatus.COMPLETED else 1


def load_step(deployment: Deployment, name: str) -> BaseStep:
    """The code of a step of the deployment, with the materializers that were chosen for its outputs."""
    spec, root = deployment.step(name), Path(deployment.source_root)
    step = BaseStep.load(spec.source, root)
    if chosen := {o.name: o.materializers for o in spec.outputs if o.materializers}:
        step.with_return_materializers(
            {name: [import_class(source, root) for source in sources] for name, sources in chosen.items()}
        )
    return step


@contextmanager
def _watched(spec: StepSpec, task: StepTask, stack: Stack) -> Iterator[None]:
    """End this process when the step has taken longer than it may, or when the run is over: whoever started it may not be able to."""
    over = threading.Event()
    deadline = None if spec.timeout is None else time.monotonic() + spec.timeout
    store = stack.metadata_store

    def watch() -> None:
        look = time.monotonic() + _LOOK
        while True:
            now = time.monotonic()
            if over.wait(max(0.0, min(look, deadline or look) - now)):
                return
            if deadline is not None and time.monotonic() >= deadline:
                error = StepTimeoutError(
                    f"The step '{task.label}' took longer than its timeout of {spec.timeout:g} seconds, and was ended."
                )
                final = not is_retried(spec.retry, store.step(task.step_run_id).attempts, error)
                store.fail_step(task.step_run_id, error_record(error), final=final)
                os._exit(1)
            if time.monotonic() >= look:
                look = time.monotonic() + _LOOK
                with suppress(ZenMLBaseException):  # whether it can be reached is asked again
                    run = store.run(task.run_id)
                    if run.status.is_finished or run.cancel_requested is not None:
                        cancelled = error_record(RunCancelledError(f"The run '{run.name}' is over."))
                        with suppress(StoreError):
                            store.fail_step(task.step_run_id, cancelled, status=ExecutionStatus.CANCELLED)
                        os._exit(1)

    watcher = threading.Thread(target=watch, name="zenml-watch", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


if __name__ == "__main__":
    with own_process():
        status = main()
    end_process(status)
