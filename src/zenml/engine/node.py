"""`python -m zenml.engine.node --deployment PATH --stack WORD... --run-id N (--step NAME [--again] | --end)`: one node of a run's graph.

With `--step`, it brings that step of a registered run to its end: decides on its condition and on earlier results, executes it, tries
it again. The exit code is 0 when the step was completed, cached or left out, 1 when it was not. With `--end`, it ends a run that nobody
waits for; the exit code is 0 when the run is complete.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.engine.code_archive import located
from zenml.engine.control import Control, Past
from zenml.engine.entrypoint import load_step
from zenml.engine.exported import LONG_LEASE, settle
from zenml.engine.observer import ended, present_observer
from zenml.engine.process_end import end_process
from zenml.engine.signals import terminable
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunError, ZenMLBaseException
from zenml.jobs.tasks import read_document, stack_of_job, unpacked_store
from zenml.logger import show_messages
from zenml.model.deployment import Deployment
from zenml.model.runs import Ending, RunRegistration
from zenml.orchestrators import LocalOrchestrator
from zenml.stack.flavors import import_class
from zenml.steps.hooks import call_hook

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zenml.model.runs import RunRecord, StepRunRecord
    from zenml.stack import Stack

logger = logging.getLogger("zenml.run")

_SUCCESSES = (ExecutionStatus.COMPLETED, ExecutionStatus.CACHED, ExecutionStatus.SKIPPED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m zenml.engine.node", description=__doc__)
    parser.add_argument("--deployment", required=True, metavar="PATH", help="the file of the deployment")
    parser.add_argument(
        "--stack",
        required=True,
        nargs="+",
        metavar="WORD",
        help="what opens the artifact store that it is in",
    )
    parser.add_argument("--run-id", required=True, type=int, metavar="N", help="the run")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--step", metavar="NAME", help="the step to bring to its end")
    what.add_argument("--end", action="store_true", help="end the run")
    parser.add_argument("--again", action="store_true", help="take no earlier result of the step")
    given = parser.parse_args(arguments)
    # What is imported below may run a pipeline without `if __name__ == "__main__"`: it must not, again and again.
    os.environ["ZENML_PREVENT_PIPELINE_EXECUTION"] = "true"
    show_messages()
    try:
        artifacts = unpacked_store(given.stack)
        deployment = located(Deployment.from_document(read_document(given.deployment, artifacts)), artifacts)
        operator = deployment.step(given.step).step_operator if given.step else None
        stack = stack_of_job(deployment, artifacts, has_operator=operator is not None)
        if given.end:
            return _end(deployment, stack, given.run_id)
        with terminable():
            return _execute(deployment, stack, given.run_id, given.step, again=given.again)
    except SystemExit as end:  # of the step, or of who ends this process: its step was not completed
        return end.code if isinstance(end.code, int) and end.code else 1
    except ZenMLBaseException as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _execute(deployment: Deployment, stack: Stack, run_id: int, name: str, *, again: bool) -> int:
    store = stack.metadata_store
    run = store.run(run_id)
    steps = {step.name: step for step in store.steps(run_id)}
    step = steps[name]
    if not step.status.is_finished:
        _check_turn(deployment, run, steps, name)
        _OneStep(deployment, stack, run, steps, name, again=again).control()
        step = store.step(step.id)
    if step.status is ExecutionStatus.SKIPPED:
        sys.stderr.write(f"The step '{name}' is skipped: {step.reason}.\n")
    return 0 if step.status in _SUCCESSES else 1


def _check_turn(
    deployment: Deployment, run: RunRecord, steps: Mapping[str, StepRunRecord], name: str
) -> None:
    """Raises RunError if the step cannot be executed now."""
    if run.status.is_finished or run.cancel_requested is not None:
        raise RunError(f"The run '{run.name}' is over: the step '{name}' is not executed.")
    for upstream in deployment.step(name).upstream:
        status = steps[upstream].status
        if status not in _SUCCESSES:
            how = ended(status) if status.is_finished else "has not ended"
            raise RunError(
                f"The step '{name}' is not executed: the step '{upstream}' that it waits for {how}."
            )


class _OneStep(Control):
    """The control of a run, the other steps of which are brought to their ends by others."""

    def __init__(
        self,
        deployment: Deployment,
        stack: Stack,
        run: RunRecord,
        steps: Mapping[str, StepRunRecord],
        name: str,
        *,
        again: bool,
    ) -> None:
        past = None
        if run.origin is not None:
            results = stack.metadata_store.results_of_run(run.origin.run_id, stack.artifact_store.path)
            past = Past(run.origin, results, frozenset([name] if again else ()))
        super().__init__(
            deployment,
            {name: load_step(deployment, name)},
            stack,
            registration=RunRegistration(run.id, {step.name: step.id for step in steps.values()}),
            observer=present_observer(),
            past=past,
        )
        self._is_followed = run.owner is not None and run.owner.kind == "process"
        self._ready = [self._node(name)]
        spec = deployment.step(name)
        sources = {source.step for source in spec.inputs.values()} | (
            {spec.when.step} if spec.when else set()
        )
        self._outputs = {source: self._store.outputs(steps[source].id) for source in sources}

    def control(self) -> None:
        """Bring the step to its end, in a process that can be ended whatever the step does."""
        self._renew()
        here = LocalOrchestrator(name="node", max_workers=2)
        self._execute(here.executor(self._deployment, self._stack, self._runner))
        if not self._is_followed:
            self._renew()  # anew: what comes next may stand in a queue

    def _let_go(self, names: Iterable[str]) -> None:
        """The engine starts them."""

    def _renew(self) -> None:
        if not self._is_followed:
            self._store.renew_lease(self._run_id, time.time() + LONG_LEASE)
        elif self._store.run(self._run_id).status.is_finished:  # who followed it has died
            raise RunError(f"The run '{self._deployment.run_name}' is over: the step is ended.")


def _end(deployment: Deployment, stack: Stack, run_id: int) -> int:
    store = stack.metadata_store
    run = store.run(run_id)
    if run.status.is_finished:
        return 0 if run.status in _SUCCESSES else 1
    settle(deployment, store, run_id, "the engine has ended the run")
    failed = [step for step in store.steps(run_id) if step.status not in _SUCCESSES]
    first = min(failed, key=lambda step: step.ended or 0.0, default=None)
    if run.cancel_requested is not None:
        status = ExecutionStatus.CANCELLED
    else:
        status = ExecutionStatus.COMPLETED if first is None else ExecutionStatus.FAILED
    error = None if first is None else first.error
    try:
        stack.cleanup_pipeline_run()
    finally:
        store.finish_run(run_id, status, error)
    hook = deployment.on_success if status is ExecutionStatus.COMPLETED else deployment.on_failure
    if hook is not None:
        _call_hook(deployment, hook, Ending(deployment.pipeline, run.name, status, None, error))
    return 0 if status is ExecutionStatus.COMPLETED else 1


def _call_hook(deployment: Deployment, hook: str, ending: Ending) -> None:
    # What the caller's program defines is found in the module that the program is.
    module = deployment.source.partition(":")[0]
    source = hook.replace("__main__.", f"{module}.", 1) if hook.startswith("__main__.") else hook
    try:
        function = import_class(source, Path(deployment.source_root))
    except ImportError as error:
        logger.warning("The hook `%s` is not called: it cannot be imported: %s", hook, error)
    else:
        call_hook(function, ending)


if __name__ == "__main__":
    end_process(main())
