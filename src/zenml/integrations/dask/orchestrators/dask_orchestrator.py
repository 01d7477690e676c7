"""An orchestrator that executes steps on a Dask cluster."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from contextlib import closing, suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit
from uuid import uuid4

from distributed import Client, LocalCluster
from distributed.scheduler import KilledWorker
from pydantic import Field, field_validator

from zenml.enums import ExecutionStatus, Reach
from zenml.exceptions import RunError, StackValidationError, StepCrashedError
from zenml.integrations.dask.orchestrators import dask_worker
from zenml.model.runs import ErrorRecord, StepOutcome
from zenml.orchestrators import capacity
from zenml.orchestrators.attempt_host import PackedRunner, received
from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, StepRunner
from zenml.orchestrators.capacity import Capacity, Reservations
from zenml.stack.checks import Check, tried

if TYPE_CHECKING:
    from distributed import Future

    from zenml.model.deployment import Deployment, ResourceSpec
    from zenml.model.runs import StepTask
    from zenml.stack import Stack

_CONNECT = 10.0
"""Seconds for which a scheduler is waited for."""

_ABSENT = 10.0
"""Seconds for which a scheduler that has been there may be away."""

_LOOK = 1.0
"""Seconds between two looks at the cluster."""

_PATIENCE = 10.0
"""Seconds after its grace until an attempt that was cancelled is given up: its worker does not answer."""

_AHEAD = 16
"""How many steps for each thread Dask is given, so that a thread need not wait for this process between two of them."""

_STALE = "zenml.exceptions.StaleAttemptError"


class DaskOrchestrator(BaseOrchestrator):
    """Executes each attempt of a step as a task of a Dask cluster.

    A worker of Dask hands attempts to processes of its own, which are used again. An attempt whose worker is lost begins again on
    another one, as often as Dask's setting `distributed.scheduler.allowed-failures` says.

    Args:
        address: that of a running scheduler, as in "tcp://10.0.0.5:8786"; without it, each run has a cluster of its own on this machine.
        max_workers: how many steps may run at once; by default, as many as the workers of the cluster have threads.
        grace_seconds: how long the code of a cancelled step may clean up before its process is killed.
    """

    FLAVOR: ClassVar[str] = "dask"

    address: str | None = None
    max_workers: int | None = Field(default=None, ge=1)
    grace_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value if "://" in value else f"tcp://{value}")
            is_whole = bool(parts.hostname and parts.port)
        except ValueError:
            is_whole = False
        if not is_whole:
            raise ValueError(f"{value!r} is no address of a scheduler: expected one as tcp://10.0.0.5:8786")
        return value

    @property
    def spread(self) -> Reach:
        """Processes of this machine, or of those of the cluster."""
        if self.address is None:
            return Reach.HOST
        host = urlsplit(self.address if "://" in self.address else f"tcp://{self.address}").hostname or ""
        if host == "localhost":
            return Reach.HOST
        try:
            return Reach.HOST if ipaddress.ip_address(host).is_loopback else Reach.NETWORK
        except ValueError:
            return Reach.NETWORK

    def check(self) -> Iterator[Check]:
        """Whether there is a scheduler, with workers that understand this process."""
        yield from super().check()
        if self.address is not None:
            yield tried("workers", self._workers_found, "Start workers with `dask worker ADDRESS`.")

    def check_deployment(self, deployment: Deployment) -> None:
        """See that there are workers, and for each step one that has what it needs."""
        needs = {step.name: step.resources for step in deployment.steps if step.step_operator is None}
        if self.address is None:
            workers: Mapping[str, Mapping[str, float]] = {"the cluster": _own_resources()}
        else:
            with closing(self.client()) as client:
                workers = {address: worker["resources"] for address, worker in _workers(client).items()}
                self._check_versions(client)
            if not workers and self.max_workers is not None:
                return  # one that grows when there is something to do
            if not workers:
                raise StackValidationError(
                    f"The Dask scheduler {self.address} of the orchestrator '{self.name}' has no workers: start some with "
                    f"`dask worker {self.address}`. If the cluster grows by itself, say how far: set the orchestrator's max_workers."
                )
        capacities = [_capacity(resources) for resources in workers.values()]
        lacking = {
            name: min((there.lacks([need]) for there in capacities), key=len)
            for name, need in needs.items()
            if need is not None
        }
        if reasons := [
            f"  the step '{name}' needs {one}" for name, lacks in lacking.items() for one in lacks
        ]:
            remedy = (
                "Let them ask for less."
                if self.address is None
                else 'Let them ask for less, or say what workers have when they are started: `dask worker ... --resources "CPU=8 '
                'MEMORY=32e9 GPU=1"`.'
            )
            raise StackValidationError(
                f"No worker of the orchestrator '{self.name}' has what these steps need:\n"
                + "\n".join(reasons)
                + f"\n{remedy}"
            )

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor on the cluster."""
        variables = "ZENML_" if self.spread < Reach.NETWORK else None
        return _DaskExecutor(self, deployment, stack, PackedRunner.of(run_step, variables))

    def client(self) -> Client:
        """A connection to the scheduler.

        Raises:
            StackValidationError: there is none.
        """
        try:
            return Client(self.address, set_as_default=False, timeout=_CONNECT)
        except (OSError, TimeoutError, ValueError) as error:
            raise StackValidationError(
                f"The Dask scheduler {self.address} of the orchestrator '{self.name}' does not answer: start it with `dask scheduler`, or "
                f"give the orchestrator another address."
            ) from error

    def own_cluster(self) -> LocalCluster:
        """A cluster for one run. Its worker is a part of this process: steps are executed in processes of their own anyway."""
        return LocalCluster(
            n_workers=1,
            threads_per_worker=self.max_workers or max(1, int(capacity.cores())),
            processes=False,
            dashboard_address=":0",
            scheduler_kwargs={"dashboard": False},
            resources=_own_resources(),
            memory_limit=0,
        )

    def _workers_found(self) -> str:
        with closing(self.client()) as client:
            self._check_versions(client)
            count = len(_workers(client))
        if not count and self.max_workers is None:
            raise StackValidationError(f"The scheduler {self.address} has no workers.")
        return f"{count} worker{'' if count == 1 else 's'}"

    def _check_versions(self, client: Client) -> None:
        own = dask_worker.versions()
        for address, theirs in client.run(dask_worker.versions, on_error="return").items():
            if isinstance(theirs, BaseException):
                raise StackValidationError(
                    f"The Dask worker {address} cannot be used, since it cannot import what steps need: {type(theirs).__name__}: {theirs}. "
                    "Install there what is installed here, in the same versions."
                )
            if theirs != own:
                raise StackValidationError(
                    f"The Dask worker {address} has version {theirs[0]} of this framework on Python {theirs[1]}, but this is {own[0]} on "
                    f"Python {own[1]}: install the same ones there."
                )


@dataclass(eq=False)
class _Attempt:
    task: StepTask
    future: Future[StepOutcome]
    deadline: float = field(default=float("inf"))


class _DaskExecutor(Executor):
    def __init__(
        self, orchestrator: DaskOrchestrator, deployment: Deployment, stack: Stack, runner: PackedRunner
    ) -> None:
        self._orchestrator = orchestrator
        self._store = stack.metadata_store
        self._run = f"zenml-{deployment.run_uuid}"
        self._run_name = deployment.run_name
        self._specs = {step.name: step for step in deployment.steps}
        self._attempts: dict[int, _Attempt] = {}
        self._ended: list[StepOutcome] = []
        self._done: SimpleQueue[_Attempt] = SimpleQueue()
        self._next_look = 0.0
        self._slots = 1
        self._away_since: float | None = None
        self._cluster = orchestrator.own_cluster() if orchestrator.address is None else None
        self._client = (
            orchestrator.client()
            if self._cluster is None
            else Client(self._cluster, set_as_default=False, timeout=_CONNECT)
        )
        self._client.register_plugin(dask_worker.RunPlugin(self._run, runner, orchestrator.grace_seconds))
        workers = _workers(self._client).values()
        self._reserved = Reservations(_capacity(*(worker["resources"] for worker in workers)))

    def has_room(self, task: StepTask) -> bool:
        """Whether a thread of the cluster is free, and what the step needs; what may wait there is waited for by the worker."""
        if not self._attempts:
            return True
        self._look()
        spec = self._specs[task.step]
        may_wait = spec.timeout is None and spec.resources is None and self._orchestrator.max_workers is None
        slots = self._slots * _AHEAD if may_wait else self._slots
        return len(self._attempts) < slots and self._reserved.has_room(spec.resources)

    def submit(self, task: StepTask) -> None:
        """Give Dask a task."""
        need = self._specs[task.step].resources
        key = f"{task.step}-{uuid4().hex}"
        future = self._client.submit(
            dask_worker.execute,
            self._run,
            task,
            key,
            key=key,
            resources=_resources(need) if need else None,
            pure=False,
        )
        attempt = self._attempts[task.step_run_id] = _Attempt(task, future)
        self._reserved.take(task.step_run_id, need)
        future.add_done_callback(lambda _: self._done.put(attempt))

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """What Dask has done; raises RunError when the scheduler stays away."""
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        while self._attempts and not self._ended:
            now = time.monotonic()
            for attempt in [a for a in self._attempts.values() if a.deadline <= now]:
                self._end(attempt, _given_up(attempt.task))
            self._see_scheduler()
            if not self._ended:
                self._take(max(0.0, min(_LOOK, limit - now)))
            if now >= limit:
                break
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, task: StepTask) -> None:
        """Tell the worker that has it, whichever that is."""
        attempt = self._attempts.get(task.step_run_id)
        if attempt is None or attempt.deadline < float("inf"):
            return
        attempt.deadline = time.monotonic() + self._orchestrator.grace_seconds + _PATIENCE
        if self._client.status != "running":
            self._end(attempt, _given_up(task))
            return
        self._client.run(dask_worker.cancel, self._run, attempt.future.key, wait=False, on_error="ignore")

    def close(self) -> None:
        """End what runs, and let go of the cluster."""
        for attempt in list(self._attempts.values()):
            self.cancel(attempt.task)
        with suppress(Exception):  # it may be gone
            if self._client.status == "running":
                self._client.unregister_worker_plugin(self._run)
        self._client.close(timeout=_LOOK)
        if self._cluster is not None:
            self._cluster.close()

    def _look(self) -> None:
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + _LOOK
        if self._orchestrator.max_workers is not None:
            self._slots = self._orchestrator.max_workers
        elif self._client.status == "running":
            with suppress(OSError):  # seen when outcomes are waited for
                self._slots = sum(self._client.nthreads().values())

    def _see_scheduler(self) -> None:
        if self._client.status == "running":
            self._away_since = None
            return
        now = self._away_since = self._away_since or time.monotonic()
        if self._client.status == "closed" or time.monotonic() - now > _ABSENT:
            raise self._gone()

    def _gone(self) -> RunError:
        return RunError(
            f"The Dask scheduler {self._orchestrator.address} went away while steps of the run '{self._run_name}' were under way. Start it "
            f"again, and go on with what is finished by `zenml pipeline runs resume {self._run_name}`."
        )

    def _take(self, timeout: float) -> None:
        """Take what is done, of which there may be much at once."""
        done: list[_Attempt] = []
        with suppress(Empty):
            done.append(self._done.get(timeout=timeout))
            while True:
                done.append(self._done.get_nowait())
        known = [a for a in done if self._attempts.get(a.task.step_run_id) is a]
        finished = [attempt for attempt in known if attempt.future.status == "finished"]
        try:
            values = self._client.gather([a.future for a in finished]) if finished else []
        except (OSError, CancelledError) as error:  # nothing comes without the scheduler
            raise self._gone() from error
        outcomes = dict(zip(map(id, finished), values, strict=True))
        raised: list[BaseException] = []
        for attempt in known:
            try:
                self._end(attempt, self._outcome(attempt, outcomes.get(id(attempt))))
            except BaseException as error:  # noqa: BLE001  told when all are settled
                self._end(attempt, _given_up(attempt.task))
                raised.append(error)
        if raised:
            raise raised[0]

    def _outcome(self, attempt: _Attempt, outcome: StepOutcome | None) -> StepOutcome:
        task, future = attempt.task, attempt.future
        if outcome is not None:
            exception: Any = outcome.exception
            stale = getattr(exception, "report", None)
            if stale is not None and stale.error is not None and stale.error.type == _STALE:
                return self._recorded(task) or received(outcome, task)
            return received(outcome, task)
        if future.status != "error":
            if self._client.status != "running":
                raise self._gone()
            return _crashed(task, "Dask has cancelled it.")
        error = future.exception()
        if isinstance(error, KilledWorker):
            return _crashed(task, "the workers that it was given to were lost, one after the other.")
        return _crashed(task, f"{type(error).__name__}: {error}")

    def _recorded(self, task: StepTask) -> StepOutcome | None:
        """What is recorded of a step that was completed by a worker which was lost before it could say so."""
        if self._store.step(task.step_run_id).status is not ExecutionStatus.COMPLETED:
            return None
        artifacts = tuple(self._store.outputs(task.step_run_id).values())
        return StepOutcome(task, ExecutionStatus.COMPLETED, artifacts)

    def _end(self, attempt: _Attempt, outcome: StepOutcome) -> None:
        del self._attempts[attempt.task.step_run_id]
        self._reserved.release(attempt.task.step_run_id)
        attempt.future.release()
        self._ended.append(outcome)


def _workers(client: Client) -> Mapping[str, Any]:
    workers: Mapping[str, Any] = client.scheduler_info()["workers"]
    return workers


def _own_resources() -> dict[str, float]:
    devices = {"GPU": len(found)} if (found := capacity.devices()) else {}
    return {"CPU": capacity.cores(), "MEMORY": capacity.memory(), **devices}


def _capacity(*resources: Mapping[str, float]) -> Capacity:
    """What workers have together, by the names that Dask's documentation uses; any other name is a token."""
    there: dict[str, float] = {}
    for one in resources:
        for name, amount in one.items():
            there[name] = there.get(name, 0) + amount
    gpus = tuple(map(str, range(int(there.pop("GPU", 0)))))
    return Capacity(there.pop("CPU", 0), int(there.pop("MEMORY", 0)), gpus, there)


def _resources(need: ResourceSpec) -> dict[str, float]:
    amounts = {"CPU": need.cpu or 0, "MEMORY": need.memory or 0, "GPU": need.gpu, **need.custom}
    return {name: amount for name, amount in amounts.items() if amount}


def _given_up(task: StepTask) -> StepOutcome:
    return StepOutcome(task, ExecutionStatus.CANCELLED, is_recorded=False)


def _crashed(task: StepTask, reason: str) -> StepOutcome:
    error = StepCrashedError(f"The step '{task.label}' could not be brought to its end: {reason}")
    record = ErrorRecord("zenml.exceptions.StepCrashedError", error.message)
    return StepOutcome(task, ExecutionStatus.CRASHED, error=record, exception=error, is_recorded=False)
