"""When a schedule is due. Pure: what time it is, is an argument. All times are in UTC."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from zenml.exceptions import ConfigurationError, MissingPackageError

if TYPE_CHECKING:
    from zenml.model.schedules import ScheduleRecord

_MOMENT = timedelta(microseconds=1)

# The names that crontab(5) has for what is asked for most.
_NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


def due_time(schedule: ScheduleRecord, now: datetime) -> datetime | None:
    """The time that is to be run now, if one is due that was not taken up yet.

    Of several that have passed it is the first with `catchup`, so that all of them are run in their order; else the last, and
    those before it are never run.

    Raises:
        ConfigurationError: the cron expression or the time zone is none.
        MissingPackageError: the schedule has a cron expression, and what evaluates it is not installed.
    """
    first = next_time(schedule)
    if first is None or first > now:
        return None
    return first if schedule.catchup else _last(schedule, first, now)


def next_time(schedule: ScheduleRecord) -> datetime | None:
    """The time after the last one that was taken up: it lies in the past if it was missed. Raises as `due_time` does."""
    return time_after(schedule, _taken_up_to(schedule))


def time_after(schedule: ScheduleRecord, moment: datetime) -> datetime | None:
    """The first time of the schedule that is later than `moment`, or None if it has ended then. Raises as `due_time` does."""
    if schedule.start is not None:
        moment = max(moment, schedule.start - _MOMENT)
    if schedule.cron_expression is not None:
        found = next(_cron_times(schedule, moment), None)
    else:
        start, interval = _interval(schedule)
        found = start + ((moment - start) // interval + 1) * interval
    return None if found is None or (schedule.end is not None and found > schedule.end) else found


def _taken_up_to(schedule: ScheduleRecord) -> datetime:
    before = schedule.created if schedule.start is None else schedule.start - _MOMENT
    if (last := schedule.last) is None:
        return before
    # What was claimed and never begun is still to be run.
    return max(before, last.time if last.has_begun else last.time - _MOMENT)


def _last(schedule: ScheduleRecord, first: datetime, now: datetime) -> datetime:
    """The last time that is not later than `now`; `first` is one of these."""
    until = now if schedule.end is None else min(now, schedule.end)
    if schedule.cron_expression is None:
        start, interval = _interval(schedule)
        return start + ((until - start) // interval) * interval
    # Forwards, like all other times: backwards, other ones could be found where clocks are changed.
    span = timedelta(minutes=1)
    while until - span > first:
        if found := max(_cron_times(schedule, until - span, until), default=None):
            return found
        span *= 2
    return max(_cron_times(schedule, first, until), default=first)


def _interval(schedule: ScheduleRecord) -> tuple[datetime, timedelta]:
    if schedule.start is None or schedule.interval is None:
        raise ConfigurationError(
            f"The schedule '{schedule.name}' has neither a cron expression nor a start and an interval: register it again."
        )
    return schedule.start, schedule.interval


def _cron_times(
    schedule: ScheduleRecord, moment: datetime, until: datetime | None = None
) -> Iterator[datetime]:
    """The times after `moment`, each later than the one before, not later than `until`.

    By the rules of Debian's cron where clocks are changed: a time that does not exist is run at the first one that does, one that exists
    twice is run the first time; but what runs each hour or more often follows the time that has really passed.
    """
    try:
        from cronsim import CronSim, CronSimError
    except ImportError:
        raise MissingPackageError(
            f"The schedule '{schedule.name}' has a cron expression, which needs a package that is not installed: run "
            "`pip install 'cronsim>=2.6'`, or give an interval."
        ) from None
    text = schedule.cron_expression or ""
    try:
        times = CronSim(_NICKNAMES.get(text.strip().lower(), text), moment.astimezone(_zone(schedule)))
    except CronSimError as error:
        reason = f"{error}".replace("Bad", "it has a bad", 1).lower()
        raise ConfigurationError(
            f"The schedule '{schedule.name}' has {text!r}, which is no cron expression: {reason}. Expected minute, hour, day of the month, "
            "month and day of the week, as in '30 2 * * 1-5'."
        ) from None
    previous = moment
    for found in times:
        time = found.astimezone(timezone.utc)
        if until is not None and time > until:
            return
        if time > previous:
            yield time
            previous = time


def _zone(schedule: ScheduleRecord) -> tzinfo:
    if schedule.timezone is None:
        return _Local()
    try:
        return zoneinfo.ZoneInfo(schedule.timezone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"The schedule '{schedule.name}' is in the time zone {schedule.timezone!r}, which this machine does not know: expected a name "
            "such as 'Europe/Berlin'. Where there are none at all, `pip install tzdata` brings them."
        ) from None


class _Local(tzinfo):
    """The zone that this machine is set to, with its changes of clocks: what `astimezone()` gives is the offset of one moment."""

    def utcoffset(self, time: datetime | None) -> timedelta | None:
        return None if time is None else time.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, time: datetime | None) -> timedelta | None:
        return None

    def tzname(self, time: datetime | None) -> str | None:
        return None if time is None else time.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, time: datetime) -> datetime:
        moment = time.replace(tzinfo=timezone.utc)
        here = moment.astimezone().replace(tzinfo=self, fold=0)
        return here if here.utcoffset() == moment.astimezone().utcoffset() else here.replace(fold=1)
