"""A run that an engine takes as a whole: what is known is recorded at once, the rest is handed over and watched until its end."""

from __future__ import annotations

import builtins
import heapq
import logging
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from zenml.engine.cache import cache_key
from zenml.engine.control import Control
from zenml.engine.errors import error_record
from zenml.engine.frontier import Frontier
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunError, StepCrashedError, StoreError
from zenml.jobs import EngineUnreachableError
from zenml.jobs.tasks import packed_stack, write_document
from zenml.model.runs import StepOutcome, StepTask
from zenml.orchestrators.exporter import Graph, Node

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.deployment import Deployment
    from zenml.model.runs import ErrorRecord, StepRunRecord
    from zenml.orchestrators.exporter import Exporter

logger = logging.getLogger("zenml.run")

LONG_LEASE = 6 * 3600.0
"""Seconds for which a run that nobody waits for may have no process at all: its next step may stand in a queue of the engine."""

_LOOK = 0.5
"""Seconds between two looks into the metadata store."""

_ASK = 2.0
"""Seconds between two questions to the engine."""

_ABSENT = 60.0
"""Seconds for which an engine may be away."""

_CANCELLING = 30.0
"""Seconds for which the end of nodes that were cancelled is waited for; they look every second."""


class ExportedControl(Control):
    """Takes the results that are known, gives the rest to the engine, and watches it."""

    def __init__(self, exporter: Exporter, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._exporter = exporter
        self._left: set[str] = set()
        self._started: set[str] = set()
        self._error: BaseException | None = None

    def control(self) -> None:
        """Bring every step to its end, or leave that to the engine."""
        with self._exporter as exporter:
            self._decisions.prefetch()
            self._take_known()
            if not self._frontier.open:
                return
            self._left = set(self._frontier.open)
            exporter.submit(self._graph())
            if not exporter.is_synchronous:
                self._store.renew_lease(self._run_id, time.time() + LONG_LEASE)
                self.is_handed_over = True
                return
            try:
                self._follow(exporter)
            except BaseException as error:
                self._error = super().cause(error)  # before others are asked to end
                self._cancel(exporter)
                raise
        failure = self.first_failure
        if failure is not None and failure.status is ExecutionStatus.CANCELLED and failure.exception:
            raise failure.exception  # somebody has ended the run at the engine

    def cause(self, error: BaseException) -> BaseException:
        """What is to be raised for what ended the run."""
        return self._error or super().cause(error)

    def abandon(self, status: ExecutionStatus) -> None:
        """End what has not ended: what still runs, also when an interrupt has cut waiting for it short, is not skipped but cancelled."""
        for step in self._running():
            record = error_record(self._cancelled())
            self._store.fail_step(step.id, record, status=ExecutionStatus.CANCELLED)
        super().abandon(status)

    def _take_known(self) -> None:
        """Record the hits, and what is left out by them; what has to be executed stays open."""
        while self._ready:
            node = heapq.heappop(self._ready)
            try:
                if node.spec.when is None or self._holds(node):
                    self._hit(node)
            except StoreError:
                raise
            except Exception as error:  # noqa: BLE001  the step's own process meets it again, and records it
                logger.debug("It is not known yet how the step `%s` goes on: %s", node.label, error)
        self._record_hits()

    def _graph(self) -> Graph:
        left = set(self._frontier.open)
        nodes = tuple(
            Node(
                spec,
                tuple(name for name in dict.fromkeys(spec.upstream) if name in left),
                spec.name in self._again,
            )
            for spec in self._deployment.steps
            if spec.name in left
        )
        url = write_document(
            self._deployment.to_document(), self._deployment, self._stack.artifact_store, "deployment.json"
        )
        return Graph(self._deployment, self._run_id, nodes, url, packed_stack(self._deployment.stack))

    def _follow(self, exporter: Exporter) -> None:
        ask = answered = time.monotonic()
        while True:
            self._watch()
            if not self._left:
                return
            self._tend()
            now = time.monotonic()
            if now >= ask:
                ask = now + _ASK
                try:
                    status = exporter.status()
                except EngineUnreachableError:
                    if now - answered > _ABSENT:
                        raise
                else:
                    answered = now
                    if status.state.is_finished:
                        settle(self._deployment, self._store, self._run_id, status.reason)
                        continue
            time.sleep(_LOOK)

    def _watch(self) -> None:
        """Tell of what has happened since the last look."""
        ended = []
        for step in self._store.steps(self._run_id):
            if step.name not in self._left:
                continue
            if step.started and step.name not in self._started:
                self._started.add(step.name)
                if step.status is not ExecutionStatus.CACHED:
                    self._observer.step_started(step.name)
            if step.status.is_finished:
                ended.append(step)
        for step in sorted(ended, key=lambda step: step.ended or 0.0):
            self._left.discard(step.name)
            self._tell(step)

    def _tell(self, step: StepRunRecord) -> None:
        if step.status is ExecutionStatus.CACHED:
            self._observer.step_cached(step.name)
        elif step.status is ExecutionStatus.SKIPPED:
            self._observer.step_skipped(step.name, step.reason or "")
        else:
            seconds = max(0.0, (step.ended or 0.0) - (step.started or step.ended or 0.0))
            self._observer.step_finished(step.name, step.status, seconds, step.error)
            if step.status is not ExecutionStatus.COMPLETED and self.first_failure is None:
                task = StepTask(self._run_id, step.id, step.name, cache_key({}, {}))
                exception = None if step.error is None else raised(step.error, step.name)
                self.first_failure = StepOutcome(task, step.status, error=step.error, exception=exception)

    def _cancel(self, exporter: Exporter) -> None:
        """Ask the engine and the nodes for their end, and wait a while."""
        with suppress(StoreError):
            self._store.request_cancel(self._run_id)
        try:
            exporter.cancel()
        except (EngineUnreachableError, RunError) as error:
            logger.warning("The run could not be cancelled at the engine: %s", error)
        patience = time.monotonic() + _CANCELLING
        with suppress(StoreError):
            while self._running() and time.monotonic() < patience:
                time.sleep(_LOOK)

    def _running(self) -> list[StepRunRecord]:
        return [step for step in self._store.steps(self._run_id) if step.status is ExecutionStatus.RUNNING]


def settle(deployment: Deployment, store: BaseMetadataStore, run_id: int, reason: str) -> None:
    """End what is open of a run that the engine has ended: what was executed has crashed, what depends on that is skipped."""
    recorded = {step.name: step for step in store.steps(run_id)}
    frontier = Frontier(deployment)
    skipped: dict[str, str] = {}
    for spec in deployment.steps:  # each stands behind what it waits for
        step = recorded[spec.name]
        status = step.status
        if not status.is_finished:
            if spec.name in skipped:
                continue
            what = (
                f"The process that executed the step '{step.name}' has died."
                if step.attempts
                else f"The step '{step.name}' was not executed: {reason or 'its process did not start'}."
            )
            status = ExecutionStatus.CRASHED
            store.fail_step(step.id, error_record(StepCrashedError(what)), status=status)
        if status is ExecutionStatus.SKIPPED:
            skipped |= frontier.leave_out(spec.name)[0]
        elif status in (ExecutionStatus.COMPLETED, ExecutionStatus.CACHED):
            frontier.end(spec.name)
        else:
            skipped |= frontier.fail(spec.name, status)
    store.skip_steps({recorded[name].id: why for name, why in skipped.items()})


def raised(record: ErrorRecord, step: str) -> Exception:
    """The exception that a step has raised in another process, as far as it can be made again of what is recorded of it."""
    module, _, name = record.type.rpartition(".")
    kind = getattr(sys.modules.get(module, builtins), name, None)
    if isinstance(kind, type) and issubclass(kind, Exception):
        with suppress(Exception):  # it takes something else than a message
            exception = kind(record.message)
            if str(exception) == record.message:
                return exception
    return RunError(f"The step '{step}' failed in its own process: {record.type}: {record.message}")
