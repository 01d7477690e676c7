"""The orchestrator that needs nothing: steps run on this machine, in the calling process or in worker processes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import ByteSize, Field

from zenml.enums import Reach
from zenml.exceptions import StackValidationError
from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, InProcessExecutor, StepRunner
from zenml.stack import capacity
from zenml.stack.capacity import Capacity, Reservations

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment, ResourceSpec, StepSpec
    from zenml.model.runs import StepOutcome, StepTask
    from zenml.stack import Stack

_Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class LocalOrchestrator(BaseOrchestrator):
    """Runs steps on this machine, at most `max_workers` at once.

    With one, steps run in the calling process, except those that have a timeout or resources; all others run in worker processes,
    which start when they are first needed, are used again, and end with the run.

    Args:
        max_workers: how many steps may run at once.
        cpus, memory, gpus: what steps may take together; by default what this process may use. Memory is in bytes, or text: "8GB".
        resources: tokens of further kinds, by name.
        grace_seconds: how long the code of a cancelled step may clean up before its process is killed.
    """

    FLAVOR: ClassVar[str] = "local"

    max_workers: int = Field(default=1, ge=1)
    cpus: _Amount | None = None
    memory: ByteSize | None = None
    gpus: int | None = Field(default=None, ge=0)
    resources: dict[str, _Amount] = Field(default_factory=dict)
    grace_seconds: _Amount = 5.0

    @property
    def spread(self) -> Reach:
        """One process, or several of this machine."""
        return Reach.PROCESS if self.max_workers == 1 else Reach.HOST

    def check_deployment(self, deployment: Deployment) -> None:
        """See that no step needs more than there is."""
        if needs := self.needs(deployment):
            capacity.refuse_unmet(
                needs,
                [self._capacity(needs.values())],
                lacking=f"The orchestrator '{self.name}' has less than these steps need",
                remedy="Let them ask for less, or say what there is in the fields cpus, memory, gpus and resources of the orchestrator.",
            )

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor on this machine."""
        if self.max_workers == 1 and not any(map(_needs_worker, deployment.steps)):
            return InProcessExecutor(run_step)
        if near := [c for c in stack.components.values() if c.reach < Reach.HOST]:
            kind = near[0].TYPE.display
            raise StackValidationError(
                f"The {kind} '{near[0].name}' can only be used from the same process, but steps with a timeout or resources have one of "
                f"their own: choose another {kind}, which they can reach."
            )
        return _LocalExecutor(self, deployment, run_step, self._capacity(self.needs(deployment).values()))

    def _capacity(self, needs: Iterable[ResourceSpec]) -> Capacity:
        found = capacity.devices() if any(need.gpu for need in needs) else ()
        if self.gpus is not None:
            found = (found or tuple(map(str, range(self.gpus))))[: self.gpus]
        return Capacity(
            cpus=capacity.cores() if self.cpus is None else self.cpus,
            memory=capacity.memory() if self.memory is None else self.memory,
            devices=found,
            tokens=self.resources,
        )


class _LocalExecutor(Executor):
    """Executes attempts in worker processes, and in this process where nothing speaks against it."""

    def __init__(
        self, orchestrator: LocalOrchestrator, deployment: Deployment, run_step: StepRunner, there: Capacity
    ) -> None:
        from zenml.orchestrators.worker_pool import WorkerPool  # loads multiprocessing, which few runs need

        self._workers = orchestrator.max_workers
        self._specs = {step.name: step for step in deployment.steps}
        self._here = InProcessExecutor(run_step)
        self._pool = WorkerPool(run_step, orchestrator.max_workers, orchestrator.grace_seconds)
        self._reserved = Reservations(there)

    def has_room(self, task: StepTask) -> bool:
        """Whether a process is free, and what the step needs."""
        if not self._here.has_room(task):
            return False
        if self._pool.busy == 0:
            return True
        spec = self._specs[task.step]
        return (
            self._pool.busy < self._workers
            and self._is_for_worker(spec)
            and self._reserved.has_room(spec.resources)
        )

    def submit(self, task: StepTask) -> None:
        """Hand the attempt to a worker, or execute it."""
        spec = self._specs[task.step]
        if self._is_for_worker(spec):
            devices = self._reserved.take(task.step_run_id, spec.resources)
            # The start of a process, which may import much, does not count for the timeout.
            self._pool.submit(task, devices, when_ready=spec.timeout is not None)
        else:
            self._here.submit(task)

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """What has ended."""
        ended = self._here.wait() or self._pool.wait(timeout)
        for outcome in ended:
            self._reserved.release(outcome.task.step_run_id)
        return ended

    def cancel(self, task: StepTask) -> None:
        """End an attempt in a worker; one in this process has ended already."""
        self._pool.cancel(task)

    def close(self) -> None:
        """End the workers."""
        self._pool.close()

    def _is_for_worker(self, spec: StepSpec) -> bool:
        return self._workers > 1 or _needs_worker(spec)


def _needs_worker(step: StepSpec) -> bool:
    """Whether a step must run in a process of its own also where only one runs at once: to be ended, or to see its devices only."""
    return step.step_operator is None and (step.timeout is not None or step.resources is not None)
