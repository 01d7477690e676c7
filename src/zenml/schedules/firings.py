"""How a scheduled time is claimed, taken over and ended: each is one change of a schedule's record, in one transaction.

A scheduler claims a time, and starts a process for it. That process takes the claim over before it does anything: of several that
were ever started for a time, because a scheduler died between the two, one alone can. So a time is begun once at the most.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from zenml.enums import ExecutionStatus
from zenml.liveness import is_dead, this_process
from zenml.model.schedules import Firing, ScheduleRecord

if TYPE_CHECKING:
    from zenml.profiles.registry import Registry

Change: TypeAlias = Callable[[ScheduleRecord], "ScheduleRecord | None"]

_SECONDS_TO_BEGIN = 60.0
"""How long a claim holds that nobody has taken over, where its owner cannot be seen."""
_SECONDS_TO_REGISTER = 600.0
"""How long a run may import and compile until its metadata store knows of it, where its process cannot be seen."""


def claim(seen: ScheduleRecord, time: datetime, now: datetime) -> Change:
    """Claim `time` for this process, if the schedule is still as it was `seen`."""
    firing = Firing(
        time, run_name(seen.name, time), ExecutionStatus.PENDING, os.urandom(8).hex(), this_process(), now
    )
    return lambda present: replace(present, last=firing) if present == seen else None


def take_over(token: str, now: datetime) -> Change:
    """Begin what was claimed with `token`, as this process, if the claim still holds and nobody has begun it."""

    def change(present: ScheduleRecord) -> ScheduleRecord | None:
        last = present.last
        if last is None or last.token != token or last.has_begun:
            return None
        begun = replace(last, status=ExecutionStatus.RUNNING, owner=this_process(), since=now)
        return replace(present, last=begun)

    return change


def end(
    token: str, status: ExecutionStatus, now: datetime, *, error: str | None = None, run: str | None = None
) -> Change:
    """End what was claimed with `token`, if it has not ended; `run` is its name, where it got another one."""

    def change(present: ScheduleRecord) -> ScheduleRecord | None:
        last = present.last
        if last is None or last.token != token or last.status.is_finished:
            return None
        ended = replace(last, status=status, since=now, error=error, run=run or last.run)
        return replace(present, last=ended)

    return change


def status_of(schedule: ScheduleRecord, registry: Registry, now: datetime) -> ExecutionStatus | None:
    """What is true of the time that was claimed last, whether or not somebody lived to record it. None: it is free to be claimed."""
    last = schedule.last
    if last is None:
        return None
    if last.status.is_finished:
        return last.status
    if not last.has_begun:
        lease = last.since.timestamp() + _SECONDS_TO_BEGIN
        return None if is_dead(last.owner, lease, now.timestamp()) else last.status
    here = this_process()
    if (last.owner.boot_id, last.owner.pid_namespace) == (here.boot_id, here.pid_namespace):
        return ExecutionStatus.CRASHED if is_dead(last.owner, None, now.timestamp()) else last.status
    # On another machine, or before this one was started anew: the metadata store knows.
    recorded = _recorded_status(schedule, registry, last.run)
    if recorded is None and (now - last.since).total_seconds() > _SECONDS_TO_REGISTER:
        return ExecutionStatus.CRASHED
    return recorded or last.status


def run_name(schedule: str, time: datetime) -> str:
    """The name of the run of a schedule at a time: "nightly-2026-11-21T02:00:00Z"."""
    return f"{schedule}-{time.replace(tzinfo=None).isoformat()}Z"


def _recorded_status(schedule: ScheduleRecord, registry: Registry, run: str) -> ExecutionStatus | None:
    from zenml.stack import Stack  # loads pydantic, and the flavors of the stack

    stack = Stack.from_spec(registry.stack_spec(schedule.stack), Path(schedule.source_root))
    found = stack.metadata_store.run_by_name(run)
    return None if found is None else found.status
