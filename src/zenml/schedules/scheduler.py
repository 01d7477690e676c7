"""The process that starts what is due: `zenml schedule run`."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

from zenml.enums import ExecutionStatus
from zenml.exceptions import ZenMLBaseException
from zenml.logger import get_logger
from zenml.profiles.active import (
    PROFILE_VARIABLE,
    REPOSITORY_VARIABLE,
    STACK_VARIABLE,
    is_repository_directory,
)
from zenml.schedules.firings import claim, end, status_of
from zenml.schedules.times import due_time, next_time

if TYPE_CHECKING:
    from zenml.model.schedules import Firing, ScheduleRecord
    from zenml.profiles.registry import Registry

logger = get_logger("zenml.schedules")

_LOOK_EVERY = timedelta(seconds=2)
_SECONDS_BETWEEN_POLLS = 0.2
_WANTED = (ExecutionStatus.COMPLETED, ExecutionStatus.CANCELLED)
_CANCELLED = (128 + signal.SIGINT, 128 + signal.SIGTERM, -signal.SIGINT, -signal.SIGTERM)


class Process(Protocol):
    """A started run: what this module uses of `subprocess.Popen`."""

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        ...

    def wait(self) -> int:
        """The exit code, when it has ended."""
        ...

    def terminate(self) -> None:
        """Ask it to end."""
        ...

    def kill(self) -> None:
        """End it."""
        ...


Start: TypeAlias = "Callable[[ScheduleRecord, Firing], Process]"


def start_process(profile: str, schedule: ScheduleRecord, firing: Firing) -> Process:
    """Start a process that takes over what was claimed, and runs the pipeline.

    It is a session of its own: Ctrl-C on the terminal is for the scheduler, and a run survives the death of it.
    """
    environment = {**os.environ, PROFILE_VARIABLE: profile, STACK_VARIABLE: schedule.stack}
    if is_repository_directory(Path(schedule.source_root)):
        environment[REPOSITORY_VARIABLE] = schedule.source_root
    return subprocess.Popen(
        [sys.executable, "-m", "zenml.pipelines.scheduled", schedule.name, firing.token],
        cwd=schedule.directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


class Scheduler:
    """Starts a process for each time that is due, of all schedules in `registry` or of those called `names`.

    Of one schedule, one run goes on at a time: a time that comes meanwhile is late, and due when it has ended. Any number of schedulers may
    share a profile. What the world gives is passed in: `clock` (UTC), and `sleep`, which may return early.
    """

    def __init__(
        self,
        registry: Registry,
        start: Start,
        *,
        names: Collection[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        sleep: Callable[[float], object] | None = None,
        look_every: timedelta = _LOOK_EVERY,
    ) -> None:
        self._registry = registry
        self._start = start
        self._names = names
        self._clock = clock
        self._stopping = threading.Event()
        self._sleep = sleep or self._stopping.wait
        self._look_every = look_every
        self._started: dict[str, tuple[Process, Firing]] = {}
        self._said: dict[str, str] = {}
        self._horizon: datetime | None = None
        self.failed = False
        """Whether a run has ended otherwise than well."""

    def run(self, *, once: bool = False) -> None:
        """Start what is due, until `stop` is called; with `once` what is due now, until it has ended."""
        self._horizon = self._clock() if once else None
        while not self._stopping.is_set():
            soonest = self._look()
            if once and not self._started:
                break
            self._pause(soonest)
        for process, _ in self._started.values():
            process.terminate()
        for process, _ in self._started.values():
            process.wait()
        self._reap()

    def stop(self) -> None:
        """Let `run` return when the runs under way have been cancelled; asked again, when they have been killed.

        May be called by a handler of signals.
        """
        if self._stopping.is_set():
            for process, _ in list(self._started.values()):
                process.kill()
        self._stopping.set()

    def _look(self) -> datetime | None:
        """Start what is due; gives the next time of the schedules that wait."""
        self._reap()
        try:
            schedules = self._registry.schedules()
        except ZenMLBaseException as error:  # a database may be back in a minute
            self._say("", f"The schedules cannot be read: {error}")
            return None
        self._said.pop("", None)
        chosen = [s for s in schedules if not s.is_paused and (not self._names or s.name in self._names)]
        times = [self._take_up(schedule) for schedule in chosen]
        return min((time for time in times if time is not None), default=None)

    def _take_up(self, schedule: ScheduleRecord) -> datetime | None:
        """Start a run if one is due. Gives the time to wait for, if there is one."""
        now = self._clock()
        try:
            time = due_time(schedule, self._horizon or now)
            if time is None:
                self._said.pop(schedule.name, None)
                return next_time(schedule)
            if self._is_active(schedule, now):
                self._say(
                    schedule.name,
                    f"Schedule '{schedule.name}' is due, and waits for the end of its last run.",
                )
                return None
            claimed = self._registry.change_schedule(schedule.name, claim(schedule, time, now))
        except ZenMLBaseException as error:
            self._say(schedule.name, f"Schedule '{schedule.name}' is left out: {error}")
            return None
        if claimed is not None and claimed.last is not None:
            self._begin(claimed, claimed.last)
        return None

    def _is_active(self, schedule: ScheduleRecord, now: datetime) -> bool:
        if schedule.name in self._started:
            return True
        status = status_of(schedule, self._registry, now)
        return status is not None and not status.is_finished

    def _begin(self, schedule: ScheduleRecord, firing: Firing) -> None:
        try:
            self._started[schedule.name] = self._start(schedule, firing), firing
        except OSError as error:  # its folder is gone, for instance
            self._end(schedule.name, firing, ExecutionStatus.FAILED, f"It cannot be started: {error}")
        else:
            logger.info("Schedule '%s': started the run '%s'.", schedule.name, firing.run)

    def _reap(self) -> None:
        for name, (process, firing) in list(self._started.items()):
            code = process.poll()
            if code is not None:
                del self._started[name]
                status = _status_of_exit(code)
                how = f"signal {-code}" if code < 0 else f"exit code {code}"
                self._end(
                    name, firing, status, None if status in _WANTED else f"Its process ended with {how}."
                )

    def _end(self, name: str, firing: Firing, status: ExecutionStatus, error: str | None) -> None:
        """Record the end of a run, if its process has not done so: one that was killed has not."""
        self.failed = self.failed or status is not ExecutionStatus.COMPLETED
        level = logging.INFO if status in _WANTED else logging.WARNING
        logger.log(level, "Schedule '%s': the run '%s' ended: %s.", name, firing.run, status)
        try:
            self._registry.change_schedule(name, end(firing.token, status, self._clock(), error=error))
        except ZenMLBaseException as problem:
            logger.warning(
                "Schedule '%s': the end of the run '%s' cannot be recorded: %s", name, firing.run, problem
            )

    def _pause(self, soonest: datetime | None) -> None:
        """Wait until `soonest`, until a run has ended, or until it is time to look at the schedules anew."""
        began = now = self._clock()
        until = now + self._look_every
        if soonest is not None:
            until = min(until, soonest)
        while began <= now < until and not self._stopping.is_set():  # clocks are also put back
            if any(process.poll() is not None for process, _ in self._started.values()):
                return
            seconds = (until - now).total_seconds()
            self._sleep(min(seconds, _SECONDS_BETWEEN_POLLS) if self._started else seconds)
            now = self._clock()

    def _say(self, name: str, message: str) -> None:
        """Warn, unless that is what was said of this schedule before."""
        if self._said.get(name) != message:
            self._said[name] = message
            logger.warning("%s", message)


def _status_of_exit(code: int) -> ExecutionStatus:
    if code == 0:
        return ExecutionStatus.COMPLETED
    if code in _CANCELLED:
        return ExecutionStatus.CANCELLED
    return ExecutionStatus.CRASHED if code < 0 else ExecutionStatus.FAILED
