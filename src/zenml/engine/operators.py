"""Steps that a step operator executes: the entry point, started elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from zenml.engine.tasks import write_task
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunError
from zenml.model.runs import ErrorRecord, StepOutcome
from zenml.orchestrators.base_orchestrator import Executor

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.model.runs import StepTask
    from zenml.stack import Stack
    from zenml.step_operators import BaseStepOperator


class StepOperatorExecutor(Executor):
    """Executes attempts with the stack's step operator, one at a time, and reads from the metadata store how they ended."""

    def __init__(self, deployment: Deployment, stack: Stack) -> None:
        self._deployment = deployment
        self._stack = stack
        self._ended: list[StepOutcome] = []

    def has_room(self, task: StepTask) -> bool:
        """One at a time."""
        return not self._ended

    def submit(self, task: StepTask) -> None:
        """Execute the attempt."""
        self._ended.append(self._launch(task))

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """What has ended."""
        ended, self._ended = self._ended, []
        return ended

    def _launch(self, task: StepTask) -> StepOutcome:
        operator: BaseStepOperator | None = self._stack.step_operator
        assert operator is not None  # noqa: S101 - the driver makes this executor for stacks that have one
        failure: Exception | None = None
        try:
            path = write_task(task, self._deployment, self._stack.artifact_store)
            operator.launch(
                pipeline_name=self._deployment.pipeline,
                run_name=self._deployment.run_name,
                requirements=sorted({*self._deployment.requirements, *self._stack.requirements()}),
                entrypoint_command=[sys.executable, "-m", "zenml.engine.entrypoint", "--task", path],
            )
        except Exception as raised:  # noqa: BLE001  an operator that fails is the step's outcome
            failure = raised
        store = self._stack.metadata_store
        recorded = store.step(task.step_run_id)
        if recorded.status is ExecutionStatus.PENDING and recorded.attempts:
            last = store.attempts(task.step_run_id)[-1]
            return StepOutcome(task, ExecutionStatus.FAILED, error=last.error, final=False)
        if not recorded.status.is_finished:
            error = ErrorRecord(
                type(failure).__qualname__ if failure else "RunError",
                str(failure) if failure else "The step's process ended without recording how.",
            )
            store.fail_step(task.step_run_id, error)
            return StepOutcome(
                task, ExecutionStatus.FAILED, error=error, exception=failure or RunError(error.message)
            )
        if recorded.status is ExecutionStatus.COMPLETED:
            return StepOutcome(task, recorded.status, tuple(store.outputs(task.step_run_id).values()))
        error = recorded.error or ErrorRecord("RunError", f"The step has {recorded.status}.")
        exception = RunError(
            f"The step '{task.step}' failed in its own process: {error.type}: {error.message}"
        )
        return StepOutcome(task, recorded.status, error=error, exception=exception)
