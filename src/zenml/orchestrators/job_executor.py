"""Attempts of steps as jobs of an engine: the entry point is started there, and the metadata store tells how it ended."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from zenml import exceptions
from zenml.enums import ExecutionStatus, Reach
from zenml.exceptions import RunError, StepTimeoutError
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.jobs.secrets import carried_secrets
from zenml.jobs.tasks import IN_FLIGHT, packed_stack, read_document, write_task
from zenml.logger import get_logger
from zenml.model.runs import ErrorRecord, StepOutcome
from zenml.orchestrators.base_orchestrator import Executor

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.model.runs import StepTask
    from zenml.stack import Stack

logger = get_logger("zenml.orchestrators")

_PATIENCE = 60.0
"""Seconds for which an engine that has been there may not answer."""

_OVERTIME = 15.0
"""Seconds after a step's timeout when its job, which should have ended the step itself, is ended."""


@dataclass(slots=True)
class _Submitted:
    task: StepTask
    path: str
    attempts: int
    timeout: float | None
    runs_since: float | None = None
    is_cancelled: bool = False
    is_overdue: bool = False


class JobExecutor(Executor):
    """Executes attempts as jobs.

    Args:
        engine: runs the jobs; it is closed with this executor.
        deployment: what is run.
        stack: its stack.
        spread: what the jobs have in common with this process: below the network, its folders and its variables that begin with ZENML_.
        image: what the jobs are containers of.
    """

    keeps_timeouts = True

    def __init__(
        self,
        engine: JobEngine,
        deployment: Deployment,
        stack: Stack,
        *,
        spread: Reach,
        image: str | None = None,
    ) -> None:
        self._engine = engine
        self._deployment = deployment
        self._stack = stack
        self._spread = spread
        self._image = image
        registry = stack.container_registry
        is_from_there = registry is not None and image is not None and image.startswith(f"{registry.uri}/")
        self._login = registry.credentials if registry is not None and is_from_there else None
        self._words = packed_stack(deployment.stack)
        self._secrets = carried_secrets(deployment, stack)
        self._requirements = tuple(sorted({*deployment.requirements, *stack.requirements()}))
        self._jobs: dict[str, _Submitted] = {}
        self._ended: list[StepOutcome] = []
        self._silent_since: float | None = None

    def has_room(self, task: StepTask) -> bool:
        """Whether the engine takes another job."""
        most = self._engine.max_jobs
        if not self._jobs:
            return True
        need = self._deployment.step(task.step).resources
        return (most is None or len(self._jobs) < most) and self._engine.has_room(need)

    def submit(self, task: StepTask) -> None:
        """Give the attempt to the engine."""
        path = write_task(task, self._deployment, self._stack.artifact_store)
        attempts = self._stack.metadata_store.step(task.step_run_id).attempts
        spec = self._deployment.step(task.step)
        try:
            id_ = self._engine.submit(self._job(task, path))
        except Exception as error:  # noqa: BLE001  an engine that refuses a job is the attempt's outcome
            self._ended.append(StepOutcome(task, ExecutionStatus.FAILED, exception=error, is_recorded=False))
            return
        self._jobs[id_] = _Submitted(task, path, attempts, spec.timeout)

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """Look at the jobs until one has ended."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._ended and self._jobs:
            self._look()
            if self._ended:
                break
            left = self._engine.poll_seconds if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            time.sleep(min(left, self._engine.poll_seconds))
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, task: StepTask) -> None:
        """End the attempt's job."""
        for id_, job in self._jobs.items():
            if job.task.step_run_id == task.step_run_id:
                job.is_cancelled = True
                with suppress(EngineUnreachableError):  # asked again at the next look
                    self._engine.cancel(id_)

    def close(self) -> None:
        """End all jobs."""
        with suppress(EngineUnreachableError):
            for id_ in self._jobs:
                self._engine.cancel(id_)
                self._engine.remove(id_)
        self._engine.close()

    def _job(self, task: StepTask, path: str) -> Job:
        deployment = self._deployment
        is_near = self._spread < Reach.NETWORK
        folders = {c.local_path for c in self._stack.components.values() if c.local_path} if is_near else ()
        spec = deployment.step(task.step)
        words = re.sub("[^a-z0-9]+", "-", f"{deployment.pipeline}-{task.label}".lower()).strip("-")[:50]
        return Job(
            name=f"z-{words}-{uuid4().hex[:8]}",
            command=("python", "-m", "zenml.engine.entrypoint", "--task", path, "--stack", self._words),
            pipeline=deployment.pipeline,
            run=deployment.run_name,
            step=task.label,
            environment={k: v for k, v in os.environ.items() if is_near and k.startswith("ZENML_")},
            secrets=self._secrets,
            image=self._image,
            resources=spec.resources,
            folders=tuple(sorted(map(str, folders))),
            requirements=self._requirements,
            timeout=spec.timeout,
            registry_login=self._login,
        )

    def _look(self) -> None:
        now = time.monotonic()
        try:
            states = self._engine.states(list(self._jobs))
            if self._silent_since is not None:
                for id_, job in self._jobs.items():
                    if job.is_cancelled:
                        self._engine.cancel(id_)
                self._silent_since = None
        except EngineUnreachableError as error:
            if self._silent_since is None:
                self._silent_since = now
                logger.warning("%s It is asked again for %g seconds.", error, _PATIENCE)
            is_over = now - self._silent_since >= (_OVERTIME if self._all_cancelled() else _PATIENCE)
            gone = JobStatus(JobState.LOST if is_over else JobState.RUNNING, str(error))
            # What a step has recorded is true whatever becomes of its engine.
            ended = JobStatus(JobState.FAILED)
            states = {id_: ended if self._is_recorded(job) else gone for id_, job in self._jobs.items()}
        for id_, job in list(self._jobs.items()):
            status = states.get(id_) or JobStatus(JobState.LOST, "the engine does not know it any more")
            if status.state.is_finished:
                del self._jobs[id_]
                self._ended.append(self._outcome(id_, job, status))
                with suppress(EngineUnreachableError):
                    if status.state is JobState.LOST:
                        self._engine.cancel(id_)
                    self._engine.remove(id_)
            elif status.state is JobState.RUNNING and job.timeout is not None:
                job.runs_since = job.runs_since or now
                if now - job.runs_since > job.timeout + _OVERTIME and not job.is_overdue:
                    job.is_overdue = True
                    self._engine.cancel(id_)

    def _all_cancelled(self) -> bool:
        return all(job.is_cancelled for job in self._jobs.values())

    def _is_recorded(self, job: _Submitted) -> bool:
        return self._stack.metadata_store.step(job.task.step_run_id).status.is_finished

    def _outcome(self, id_: str, job: _Submitted, status: JobStatus) -> StepOutcome:
        task, store = job.task, self._stack.metadata_store
        recorded = store.step(task.step_run_id)
        if recorded.status.is_successful:
            return StepOutcome(task, recorded.status, tuple(store.outputs(task.step_run_id).values()))
        if recorded.status.is_finished:
            error = recorded.error or ErrorRecord("RunError", f"The step has {recorded.status}.")
            return StepOutcome(task, recorded.status, error=error, exception=_exception(task, error))
        if recorded.status is ExecutionStatus.PENDING and recorded.attempts > job.attempts:
            last = store.attempts(task.step_run_id)[-1]
            return StepOutcome(task, ExecutionStatus.FAILED, error=last.error, final=False)
        if job.is_cancelled:
            return StepOutcome.given_up(task)
        if job.is_overdue:
            late = StepTimeoutError(
                f"The step '{task.label}' took longer than its timeout of {job.timeout:g} seconds, and was ended."
            )
            return StepOutcome(task, ExecutionStatus.FAILED, exception=late, is_recorded=False)
        if status.state is JobState.SUCCEEDED and self._stack.artifact_store.exists(job.path + IN_FLIGHT):
            other = read_document(job.path + IN_FLIGHT, self._stack.artifact_store)["step_run_id"]
            return StepOutcome(task, ExecutionStatus.PENDING, in_flight=other)
        return StepOutcome.crashed(
            task,
            f"The job of the step '{task.label}' has ended and recorded no end of the step: {status.reason or status.state.value}."
            + self._last_lines(id_),
        )

    def _last_lines(self, id_: str) -> str:
        try:
            lines = self._engine.log(id_)
        except RunError as error:
            lines = [str(error)]
        return "\n".join([" The last lines of its log:", *(f"  {line}" for line in lines)]) if lines else ""


def _exception(task: StepTask, error: ErrorRecord) -> RunError:
    """What is raised here for an error that was recorded elsewhere."""
    kind = getattr(exceptions, error.type.removeprefix(f"{exceptions.__name__}."), None)
    if isinstance(kind, type) and issubclass(kind, RunError):
        return kind(error.message)
    return RunError(f"The step '{task.label}' failed in its own process: {error.type}: {error.message}")
