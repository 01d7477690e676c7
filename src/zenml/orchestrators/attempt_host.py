"""Attempts of steps in a process that an execution engine keeps: what it needs of a run, and how it executes them.

The engine's process imports nothing of the user's. It has worker processes of its own, which are used again: they can be ended without
it, and what the steps import or break is theirs.
"""

from __future__ import annotations

import atexit
import os
import pickle
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.enums import ExecutionStatus
from zenml.model.runs import StepOutcome
from zenml.orchestrators.fork_server import ForkServer
from zenml.orchestrators.worker_pool import Report, WorkerPool, restored

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.runs import StepTask
    from zenml.orchestrators.base_orchestrator import StepRunner

_LOOK = 1.0
"""Seconds between two looks at whether an attempt that was cancelled has ended."""

_STALE = "zenml.exceptions.StaleAttemptError"

_IDLE = 60.0
"""Seconds after which a process without anything to do is ended: whoever started the run may have died."""

_fork_server = ForkServer()
atexit.register(_fork_server.close)


@dataclass(frozen=True)
class PackedRunner:
    """A runner on its way through processes that cannot make it: `content` is its pickle.

    The worker process that it arrives at works in `folder`, if there is one of that name, and with the variables of `environment`
    besides its own.
    """

    content: bytes
    folder: str
    environment: Mapping[str, str]

    @classmethod
    def of(cls, run_step: StepRunner, variables: str | None) -> Self:
        """That of this process, with the environment variables whose names begin with `variables`."""
        taken = {k: v for k, v in os.environ.items() if variables is not None and k.startswith(variables)}
        return cls(pickle.dumps(run_step), str(Path.cwd()), taken)

    def runner(self) -> StepRunner:
        """The runner itself, for which this process becomes like the one that it comes from."""
        os.environ.update(self.environment)
        with suppress(OSError):
            os.chdir(self.folder)
        run_step: StepRunner = pickle.loads(self.content)  # noqa: S301  from the process that started the run
        return run_step


@dataclass(frozen=True)
class _Arriving:
    """Comes out of a pickle as the runner itself."""

    packed: PackedRunner

    def __call__(self, task: StepTask) -> StepOutcome:
        return self.packed.runner()(task)

    def __reduce__(self) -> tuple[Any, ...]:
        return PackedRunner.runner, (self.packed,)


class ReportedError(Exception):
    """What a step has raised, as its process reports it. Only `received` makes the exception of it: its class may be the user's."""

    def __init__(self, report: Report) -> None:
        # A pickled exception may hold a secret, and a network is no place for one; its record does not.
        shown = replace_secrets(report)
        super().__init__(shown)
        self.report = shown


def replace_secrets(report: Report) -> Report:
    """The report without values of secrets."""
    return report._replace(exception=None, secrets=frozenset()) if report.secrets else report


class AttemptHost:
    """Executes attempts of one run, each in a worker process; of as many threads at once as call it.

    `idle` is for how many seconds a worker process waits for its next attempt. A process that is kept from run to run has a fork server.
    """

    def __init__(
        self, runner: PackedRunner, grace: float, *, idle: float = _IDLE, is_kept: bool = True
    ) -> None:
        self._runner = runner
        self._grace = grace
        self._patience = idle
        self._fork_server = _fork_server if is_kept and ForkServer.is_possible() else None
        self._changed = threading.Condition()
        self._idle: list[tuple[float, WorkerPool]] = []
        self._under_way: dict[str, tuple[StepTask, WorkerPool]] = {}
        self._cancelled: set[str] = set()
        self._is_closed = False

    def execute(self, task: StepTask, key: str, devices: tuple[str, ...] = ()) -> StepOutcome:
        """Execute an attempt to its end, by a process that sees these devices only, if any are named.

        Whoever started the run gives the outcome to `received`. No two attempts have the same key.
        """
        with self._changed:
            if self._is_closed or key in self._cancelled:
                self._cancelled.discard(key)
                return StepOutcome.given_up(task)
            pool = self._idle.pop()[1] if self._idle else self._new_pool()
            self._under_way[key] = task, pool
            pool.submit(task, devices)
        try:
            return _ended(pool, task)
        finally:
            with self._changed:
                del self._under_way[key]
                self._cancelled.discard(key)
                self._changed.notify_all()
                self._idle.append((time.monotonic(), pool))
            self._end_if_closed()

    def cancel(self, key: str) -> None:
        """End an attempt, also one that has not begun."""
        with self._changed:
            self._cancelled.add(key)
            if key in self._under_way:
                task, pool = self._under_way[key]
                pool.cancel(task)

    def close(self) -> None:
        """End everything."""
        with self._changed:
            self._is_closed = True
            for task, pool in self._under_way.values():
                pool.cancel(task)
            self._changed.notify_all()
        self._end_if_closed()
        with self._changed:
            self._changed.wait_for(lambda: not self._under_way, self._grace + 2 * _LOOK)

    def _end_if_closed(self) -> None:
        if self._is_closed:
            with self._changed:
                idle, self._idle = self._idle, []
            for _, pool in idle:
                pool.close()

    def _new_pool(self) -> WorkerPool:
        if not self._under_way:
            threading.Thread(target=self._tend, name="zenml-idle", daemon=True).start()
        return WorkerPool(
            _Arriving(self._runner), 1, self._grace, restore=ReportedError, fork_server=self._fork_server
        )

    def _tend(self) -> None:
        """End processes that were idle for long, until none is left."""
        with self._changed:
            while not self._is_closed and (self._idle or self._under_way):
                self._changed.wait(self._patience)
                limit = time.monotonic() - self._patience
                for idle in [idle for idle in self._idle if idle[0] < limit]:
                    self._idle.remove(idle)
                    idle[1].close()


def received(outcome: StepOutcome, task: StepTask, store: BaseMetadataStore) -> StepOutcome:
    """The outcome that an `AttemptHost` gave, where the run was started; `task` is the attempt as it was submitted.

    Raises:
        BaseException: what the attempt raised that ends the run.
    """
    if not isinstance(outcome.exception, ReportedError):
        return replace(outcome, task=task)
    report = outcome.exception.report
    if report.error is not None and report.error.type == _STALE and (done := completed(task, store)):
        return done
    if report.outcome is None:
        raise restored(report)
    return replace(outcome, task=task, exception=restored(report))


def completed(task: StepTask, store: BaseMetadataStore) -> StepOutcome | None:
    """What is recorded of a step that was completed by a process which was lost before it could say so."""
    if store.step(task.step_run_id).status is not ExecutionStatus.COMPLETED:
        return None
    return StepOutcome(task, ExecutionStatus.COMPLETED, tuple(store.outputs(task.step_run_id).values()))


def lost(task: StepTask, reason: str, store: BaseMetadataStore) -> StepOutcome:
    """The outcome of an attempt that the engine has lost."""
    return completed(task, store) or StepOutcome.crashed(
        task, f"The step '{task.label}' could not be brought to its end: {reason}"
    )


def _ended(pool: WorkerPool, task: StepTask) -> StepOutcome:
    ended: list[StepOutcome] = []
    try:
        while not ended:
            ended = pool.wait(_LOOK)
    except ReportedError as error:
        pool.wait(0)  # the attempt's, which says no more than this
        return StepOutcome(task, ExecutionStatus.CANCELLED, exception=error, is_recorded=False)
    return ended[0]
