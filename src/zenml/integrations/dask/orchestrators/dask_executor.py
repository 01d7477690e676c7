"""Attempts of steps as tasks of a Dask cluster."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING
from uuid import uuid4

from distributed.scheduler import KilledWorker

from zenml.exceptions import RunError
from zenml.integrations.dask.orchestrators import dask_worker
from zenml.integrations.dask.orchestrators.dask_orchestrator import capacity_of, workers_of
from zenml.model.runs import StepOutcome
from zenml.orchestrators.attempt_host import lost, received
from zenml.orchestrators.base_orchestrator import Executor
from zenml.stack.capacity import Reservations

if TYPE_CHECKING:
    from distributed import Future, LocalCluster

    from zenml.integrations.dask.orchestrators.dask_orchestrator import DaskOrchestrator
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.deployment import Deployment, ResourceSpec
    from zenml.model.runs import StepTask
    from zenml.orchestrators.attempt_host import PackedRunner

_ABSENT = 10.0
"""Seconds for which a scheduler that has been there may be away."""

_LOOK = 1.0
"""Seconds between two looks at the cluster."""

_PATIENCE = 10.0
"""Seconds after its grace until an attempt that was cancelled is given up: its worker does not answer."""

_AHEAD = 64
"""How many steps for each thread Dask is given, so that a thread need not wait for this process between two of them."""

_GATHERING = 0.02
"""Seconds for which outcomes are gathered while the cluster has more to do: to ask for some costs as much as to ask for one."""


@dataclass(eq=False)
class _Attempt:
    task: StepTask
    future: Future[StepOutcome]
    deadline: float = field(default=float("inf"))


class DaskExecutor(Executor):
    """Gives the attempts of a run to a cluster; `cluster` ends with the run."""

    def __init__(
        self,
        orchestrator: DaskOrchestrator,
        deployment: Deployment,
        store: BaseMetadataStore,
        runner: PackedRunner,
        cluster: LocalCluster | None,
    ) -> None:
        self._orchestrator = orchestrator
        self._store = store
        self._run = f"zenml-{deployment.run_uuid}"
        self._run_name = deployment.run_name
        self._specs = {step.name: step for step in deployment.steps}
        self._attempts: dict[int, _Attempt] = {}
        self._unsent: list[StepTask] = []
        self._ended: list[StepOutcome] = []
        self._done: SimpleQueue[_Attempt] = SimpleQueue()
        self._next_look = 0.0
        self._slots = 1
        self._away_since: float | None = None
        self._cluster = cluster
        self._client = orchestrator.client(cluster)
        plugin = dask_worker.RunPlugin(self._run, runner, orchestrator.grace_seconds, is_kept=cluster is None)
        self._client.register_plugin(plugin)
        workers = workers_of(self._client).values()
        self._reserved = Reservations(capacity_of(*(worker["resources"] for worker in workers)))

    def has_room(self, task: StepTask) -> bool:
        """Whether a thread of the cluster is free, and what the step needs; what may wait there is waited for by the worker."""
        under_way = len(self._attempts) + len(self._unsent)
        if not under_way:
            return True
        self._look()
        spec = self._specs[task.step]
        may_wait = spec.timeout is None and spec.resources is None and self._orchestrator.max_workers is None
        slots = self._slots * _AHEAD if may_wait else self._slots
        return under_way < slots and self._reserved.has_room(spec.resources)

    def submit(self, task: StepTask) -> None:
        """Have it sent with those that come next to it."""
        self._unsent.append(task)
        self._reserved.take(task.step_run_id, self._specs[task.step].resources)

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """What Dask has done; raises RunError when the scheduler stays away."""
        self._send()
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        while self._attempts and not self._ended:
            now = time.monotonic()
            for attempt in [a for a in self._attempts.values() if a.deadline <= now]:
                self._end(attempt, StepOutcome.given_up(attempt.task))
            self._see_scheduler()
            if not self._ended:
                self._take(max(0.0, min(_LOOK, limit - now)))
            if now >= limit:
                break
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, task: StepTask) -> None:
        """Tell the worker that has it, whichever that is."""
        self._send()
        attempt = self._attempts.get(task.step_run_id)
        if attempt is None or attempt.deadline < float("inf"):
            return
        attempt.deadline = time.monotonic() + self._orchestrator.grace_seconds + _PATIENCE
        if self._client.status != "running":
            self._end(attempt, StepOutcome.given_up(task))
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

    def _send(self) -> None:
        """Give Dask what was submitted: many tasks cost it little more than one."""
        unsent, self._unsent = self._unsent, []
        for need, group in groupby(unsent, lambda task: self._specs[task.step].resources):
            tasks = list(group)
            keys = [f"{task.step}-{uuid4().hex}" for task in tasks]
            futures = self._client.map(
                dask_worker.execute,
                [self._run] * len(tasks),
                tasks,
                keys,
                key=keys,
                resources=_resources(need) if need else None,
                pure=False,
            )
            for task, future in zip(tasks, futures, strict=True):
                attempt = self._attempts[task.step_run_id] = _Attempt(task, future)
                future.add_done_callback(partial(self._note, attempt))

    def _note(self, attempt: _Attempt, future: Future[StepOutcome]) -> None:
        self._done.put(attempt)

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
            patience = time.monotonic() + _GATHERING
            while len(self._attempts) - len(done) > self._slots:
                done.append(self._done.get(timeout=max(0.0, patience - time.monotonic())))
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
                self._end(attempt, StepOutcome.given_up(attempt.task))
                raised.append(error)
        if raised:
            raise raised[0]

    def _outcome(self, attempt: _Attempt, outcome: StepOutcome | None) -> StepOutcome:
        task, future = attempt.task, attempt.future
        if outcome is not None:
            return received(outcome, task, self._store)
        if future.status != "error":
            if self._client.status != "running":
                raise self._gone()
            return lost(task, "Dask has cancelled it.", self._store)
        error = future.exception()
        if isinstance(error, KilledWorker):
            reason = "the workers that it was given to were lost, one after the other."
        else:
            reason = f"{type(error).__name__}: {error}"
        return lost(task, reason, self._store)

    def _end(self, attempt: _Attempt, outcome: StepOutcome) -> None:
        del self._attempts[attempt.task.step_run_id]
        self._reserved.release(attempt.task.step_run_id)
        attempt.future.release()
        self._ended.append(outcome)


def _resources(need: ResourceSpec) -> dict[str, float]:
    amounts = {"CPU": need.cpu or 0, "MEMORY": need.memory or 0, "GPU": need.gpu, **need.custom}
    return {name: amount for name, amount in amounts.items() if amount}
