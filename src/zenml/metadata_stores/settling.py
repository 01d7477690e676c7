"""The truth after a crash: ending what nobody executes any more."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from zenml import liveness
from zenml.enums import ExecutionStatus
from zenml.exceptions import StoreError
from zenml.metadata_stores.rows import failure_columns, owner_of
from zenml.model.runs import AttemptRecord, RunRecord, StepRunRecord

if TYPE_CHECKING:
    from zenml.metadata_stores.database import Database, Transaction
    from zenml.model.runs import Owner

RecordT = TypeVar("RecordT", RunRecord, StepRunRecord, AttemptRecord)

_REASON = "the run crashed"


def is_dead(database: Database, owner: Owner | None, lease_until: float | None, now: float) -> bool:
    """Whether nobody executes what this owner did."""
    return liveness.is_dead(owner, lease_until, now) and not database.is_held(owner)


def settle(database: Database, runs: Iterable[tuple[int, Owner | None, float | None]]) -> set[int]:
    """Settle those of these unfinished runs whose owner is dead; gives their ids, also where that cannot be recorded."""
    now = time.time()
    judged: dict[Any, bool] = {}  # the runs of one process are judged together
    dead: set[int] = set()
    for run_id, owner, lease_until in runs:
        who = owner, lease_until
        if who not in judged:
            judged[who] = is_dead(database, owner, lease_until, now)
        if judged[who] and _settle(database, run_id):
            dead.add(run_id)
    return dead


def record_late(database: Database) -> bool:
    """Record the ends of this process's runs that could not be recorded when they ended; whether there was one."""
    before = len(database.unrecorded)
    with suppress(StoreError):
        for run_id, values in list(database.unrecorded.items()):
            database.write(partial(end_run, database, values=values))
            database.unrecorded.pop(run_id, None)
    return len(database.unrecorded) < before


def end_run(
    database: Database, tx: Transaction, values: Mapping[str, Any], reason: str = "the run has ended"
) -> None:
    """End a run that has not ended, and whatever of it is open, so that a late attempt can no longer publish."""
    sql = database.sql
    now = time.time()
    if tx.run(sql.finish_run, {**values, "ended": now}):
        open_ = {"run_id": values["run_id"], "now": now}
        tx.run(sql.crash_open_steps, open_)
        tx.run(sql.crash_open_attempts, open_)
        tx.run(sql.skip_open_steps, {**open_, "reason": reason})


def as_settled(record: RecordT) -> RecordT:
    """What an unfinished run, step or attempt of a dead run is, whatever is recorded of it."""
    if record.status.is_finished:
        return record
    changes: dict[str, Any] = {"status": ExecutionStatus.CRASHED, "ended": time.time()}
    if record.status is ExecutionStatus.PENDING:  # a step
        changes |= {"status": ExecutionStatus.SKIPPED, "reason": _REASON}
    return replace(record, **changes)


def _settle(database: Database, run_id: int) -> bool:
    values = {"run_id": run_id, "status": ExecutionStatus.CRASHED.value, **failure_columns(None)}

    def work(tx: Transaction) -> bool:
        # Under the lock, once more: its lease may have been renewed, or somebody else has settled it.
        for owner, lease_until in tx.rows(database.sql.owner_of, {"run_id": run_id}):
            if not is_dead(database, owner_of(owner), lease_until, time.time()):
                return False
            end_run(database, tx, values, _REASON)
        return True

    try:
        return database.write(work)
    except (
        StoreError
    ):  # the disk is full, or this user may only read: whoever looks is told the truth all the same
        return True
