"""An orchestrator that executes steps on a Ray cluster."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar
from uuid import uuid4

from pydantic import Field

from zenml.enums import Reach
from zenml.exceptions import RunError
from zenml.integrations.ray.cluster import RayCluster, counted, node_capacity, task_options, together
from zenml.integrations.ray.driver import ClusterGoneError, give_back
from zenml.integrations.ray.tasks import Kept
from zenml.model.runs import StepOutcome
from zenml.orchestrators.attempt_host import PackedRunner, completed, lost, received
from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, StepRunner
from zenml.stack.capacity import Reservations

if TYPE_CHECKING:
    from zenml.integrations.ray.driver import Driver, Ended
    from zenml.model.deployment import Deployment
    from zenml.model.runs import StepTask
    from zenml.stack import Stack

_PATIENCE = 5.0
"""Seconds after its grace until the process of Ray's is ended that has a cancelled attempt, and again until that is given up."""

_AHEAD = 16
"""How many steps for each core Ray is given, so that a core need not wait for this process between two of them."""


class RayOrchestrator(RayCluster, BaseOrchestrator):
    """Executes each attempt of a step as a task of a Ray cluster.

    A process of Ray's hands attempts to one of its own, which is used again. An attempt whose node is lost begins again on another one.

    Args:
        max_workers: how many steps may run at once; by default, what the cluster has decides.
    """

    FLAVOR: ClassVar[str] = "ray"

    max_workers: int | None = Field(default=None, ge=1)

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor on the cluster."""
        variables = "ZENML_" if self.spread < Reach.NETWORK else None
        requirements = sorted({*deployment.requirements, *stack.requirements()})
        return _RayExecutor(
            self,
            deployment,
            stack,
            PackedRunner.of(run_step, variables),
            self.connect(requirements),
        )

    def _own_cpus(self) -> int:
        return max(self.max_workers or 1, super()._own_cpus())


@dataclass(eq=False)
class _Attempt:
    task: StepTask
    deadline: float = float("inf")
    is_forced: bool = False


class _RayExecutor(Executor):
    def __init__(
        self,
        orchestrator: RayOrchestrator,
        deployment: Deployment,
        stack: Stack,
        runner: PackedRunner,
        driver: Driver,
    ) -> None:
        self._grace = orchestrator.grace_seconds
        self._most = orchestrator.max_workers
        self._store = stack.metadata_store
        self._run = f"zenml-{deployment.run_uuid}"
        self._run_name = deployment.run_name
        self._needs = {step.name: step.resources for step in deployment.steps}
        self._timeouts = {step.name for step in deployment.steps if step.timeout is not None}
        self._attempts: dict[str, _Attempt] = {}
        self._keys: dict[int, str] = {}
        self._ended: list[StepOutcome] = []
        self._driver = driver
        self._driver.keep(self._run, pickle.dumps(runner))
        self._there = together(self._driver.nodes)
        self._reserved = Reservations(node_capacity(self._there))

    def has_room(self, task: StepTask) -> bool:
        """Whether the cluster can begin with it, or may have it wait: not where its time is limited."""
        if not self._attempts:
            return True
        if self._most is not None and len(self._attempts) >= self._most:
            return False
        if task.step in self._timeouts:
            return self._reserved.has_room(counted(self._needs[task.step]))
        return len(self._attempts) < _AHEAD * max(1, int(together(self._driver.nodes).get("CPU", 0)))

    def submit(self, task: StepTask) -> None:
        """Give Ray a task."""
        need = self._needs[task.step]
        key = f"{task.step}-{uuid4().hex}"
        options = {**task_options(need), "name": task.label}
        arguments = (self._run, Kept(self._run), self._grace, pickle.dumps(task), key)
        self._attempts[key] = _Attempt(task)
        self._keys[task.step_run_id] = key
        self._reserved.take(task.step_run_id, counted(need))
        try:
            self._driver.start(key, "execute", arguments, options)
        except ClusterGoneError as error:
            raise self._gone(error) from error

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """What Ray has done; raises RunError when the cluster is gone."""
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        while self._attempts and not self._ended:
            now = time.monotonic()
            self._give_up(now)
            raised: list[BaseException] = []
            try:
                done = self._driver.wait(max(0.0, min(1.0, limit - now)))
            except ClusterGoneError as error:
                raise self._gone(error) from error
            for ended in done:
                if (attempt := self._attempts.get(ended.key)) is None:
                    continue  # given up
                try:
                    self._end(ended.key, self._outcome(attempt, ended))
                except BaseException as error:  # noqa: BLE001  told when all are settled
                    self._end(ended.key, StepOutcome.given_up(attempt.task))
                    raised.append(error)
            if raised:
                raise raised[0]
            if now >= limit:
                break
        ended_now, self._ended = self._ended, []
        return ended_now

    def cancel(self, task: StepTask) -> None:
        """Interrupt the task, wherever it is."""
        key = self._keys.get(task.step_run_id)
        if key is None or self._attempts[key].deadline < float("inf"):
            return
        self._attempts[key].deadline = time.monotonic() + self._grace + _PATIENCE
        self._driver.cancel(key)

    def close(self) -> None:
        """End what runs, and let go of the cluster."""
        if self._attempts:
            self._driver.close()  # which ends them
        else:
            self._driver.forget(self._run)
            give_back(self._driver)

    def _give_up(self, now: float) -> None:
        for key, attempt in list(self._attempts.items()):
            if attempt.deadline > now:
                continue
            if attempt.is_forced:
                self._end(key, StepOutcome.given_up(attempt.task))
                continue
            attempt.is_forced, attempt.deadline = True, now + _PATIENCE
            self._driver.cancel(key, force=True)

    def _gone(self, error: ClusterGoneError) -> RunError:
        for attempt in list(self._attempts.items()):
            self._end(attempt[0], StepOutcome.given_up(attempt[1].task))
        return RunError(
            f"{error} Steps of the run '{self._run_name}' were under way. Start the cluster again, and go on with what is finished by "
            f"`zenml pipeline runs resume {self._run_name}`."
        )

    def _outcome(self, attempt: _Attempt, ended: Ended) -> StepOutcome:
        task = attempt.task
        if not ended.error:
            outcome: StepOutcome = pickle.loads(ended.value)  # noqa: S301  from a process that this one has started
            return received(outcome, task, self._store)
        if ended.error == "cancelled" or attempt.deadline < float("inf"):
            return completed(task, self._store) or StepOutcome.given_up(task)
        return lost(task, ended.reason, self._store)

    def _end(self, key: str, outcome: StepOutcome) -> None:
        del self._attempts[key], self._keys[outcome.task.step_run_id]
        self._reserved.release(outcome.task.step_run_id)
        self._ended.append(outcome)
