"""The driver: a run from its registration to its end."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from zenml.engine.cleanup import Cleanup
from zenml.engine.control import Control, Past
from zenml.engine.errors import error_record
from zenml.engine.exported import ExportedControl
from zenml.engine.observer import present_observer
from zenml.engine.signals import terminable
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunCancelledError, RunError, StoreError
from zenml.liveness import LEASE, this_process
from zenml.model.json import canonical
from zenml.model.runs import Ending, Owner, RunDraft, StepDraft
from zenml.steps.hooks import call_hook

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.model.runs import Origin
    from zenml.orchestrators import Exporter
    from zenml.stack import Stack
    from zenml.steps import BaseStep
    from zenml.steps.hooks import Hook

logger = logging.getLogger("zenml.run")


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `exception` is the first failing step's; `failed` names that step."""

    run_id: int
    status: ExecutionStatus
    exception: BaseException | None = None
    failed: str | None = None


def execute(
    deployment: Deployment,
    steps: Mapping[str, BaseStep],
    stack: Stack,
    *,
    past: Past | None = None,
    on_failure: Hook | None = None,
    on_success: Hook | None = None,
) -> RunResult:
    """Run a deployment to its end, and record it. A failing step does not raise: the others end, its dependants are skipped.

    Args:
        deployment: what to run.
        steps: the deployment's steps by name, as code.
        stack: the deployment's stack.
        past: the run that this one goes on from.
        on_failure: called when the run has failed.
        on_success: called when it is complete.

    Raises:
        DuplicateRunNameError: the metadata store has a run of that name; nothing is recorded.
        StoreError: a store cannot be used.
        RunCancelledError: somebody asked for the end of the run.
    """
    observer = present_observer()
    started = time.perf_counter()
    exporter = stack.orchestrator.exporter(deployment)
    owner = _owner(exporter)
    registration = stack.metadata_store.register_run(draft(deployment, owner, past.origin if past else None))
    observer.run_started(deployment)
    run = (
        Control(deployment, steps, stack, registration=registration, observer=observer, past=past)
        if exporter is None
        else ExportedControl(
            exporter, deployment, steps, stack, registration=registration, observer=observer, past=past
        )
    )
    try:
        with terminable(), Cleanup(partial(_clean_up, run, stack), lambda: run.first_failure is not None):
            stack.prepare_pipeline_run()
            run.control()
    except BaseException as caught:
        error = run.cause(caught)
        cancelled = isinstance(error, RunCancelledError) or not isinstance(error, Exception)
        status = ExecutionStatus.CANCELLED if cancelled else ExecutionStatus.FAILED
        record = error_record(error)
        try:
            try:
                run.abandon(status)
            finally:
                stack.metadata_store.finish_run(registration.run_id, status, record)
        except StoreError as failure:
            # What ended the run is raised, not that its end could not be recorded: the store does so later, or a reader finds it crashed.
            logger.warning("The end of the run `%s` is not recorded: %s", deployment.run_name, failure)
        observer.run_finished(status, time.perf_counter() - started)
        call_hook(on_failure, Ending(deployment.pipeline, deployment.run_name, status, None, record, error))
        if isinstance(error, SystemExit) and not error.code:
            # Whoever waits for this process must not take it for a success.
            raise RunError(
                f"A step of the run '{deployment.run_name}' ended the process with exit(), as if all were well: return from the step, or "
                "raise an exception."
            ) from error
        if error is not caught:
            raise error from None
        raise
    if run.is_handed_over:
        return RunResult(registration.run_id, ExecutionStatus.RUNNING)
    first = run.first_failure
    status = ExecutionStatus.FAILED if first else ExecutionStatus.COMPLETED
    stack.metadata_store.finish_run(registration.run_id, status, first.error if first else None)
    observer.run_finished(status, time.perf_counter() - started)
    end = Ending(deployment.pipeline, deployment.run_name, status)
    if first is None:
        call_hook(on_success, end)
        return RunResult(registration.run_id, status)
    call_hook(on_failure, replace(end, error=first.error, exception=first.exception))
    return RunResult(registration.run_id, status, first.exception, first.task.label)


def draft(deployment: Deployment, owner: Owner, origin: Origin | None = None) -> RunDraft:
    """The run of a deployment, to be registered now."""
    return RunDraft(
        pipeline=deployment.pipeline,
        name=deployment.run_name,
        uuid=deployment.run_uuid,
        stack=deployment.stack.name,
        deployment=canonical(deployment.to_document()),
        runtime_configuration=deployment.runtime_configuration,
        steps=[StepDraft(s.name, s.entrypoint_name, s.parameters, s.docstring) for s in deployment.steps],
        owner=owner,
        lease_until=time.time() + LEASE,
        zenml_version=deployment.zenml_version,
        git_sha=deployment.git_sha,
        origin=origin,
    )


def _owner(exporter: Exporter | None) -> Owner:
    if exporter is not None and not exporter.is_synchronous:
        return Owner("engine")
    is_main = threading.current_thread() is threading.main_thread()
    return replace(this_process(), is_interruptible=is_main)


def _clean_up(run: Control, stack: Stack) -> None:
    if not run.is_handed_over:
        stack.cleanup_pipeline_run()
