"""When a pipeline runs by itself."""

from __future__ import annotations

import warnings
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

if TYPE_CHECKING:
    from typing_extensions import Self


class Schedule(BaseModel):
    """A cron expression, or a start and an interval.

    The expression holds in the time zone called `timezone` ("Europe/Berlin"), the local one by default; so do times without a zone. A
    schedule is called by its pipeline's name unless it has a `name`; `overwrite` lets it take the place of the one of its name.

    With `catchup`, every time that passed while nothing could run is run in its order, from `start_time` on; else the last of them alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron_expression: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    interval_second: timedelta | None = None
    catchup: bool = False
    timezone: str | None = None
    name: str | None = None
    overwrite: bool = False

    @field_validator("timezone")
    @classmethod
    def _check_zone(cls, name: str | None) -> str | None:
        try:
            if name is not None:
                ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(
                f"there is no time zone {name!r} on this machine: give a name such as 'Europe/Berlin'"
            ) from None
        return name

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.interval_second is not None and self.interval_second <= timedelta(0):
            raise ValueError(f"interval_second must be longer than nothing, it is {self.interval_second}")
        if not self.cron_expression and not (self.start_time and self.interval_second):
            raise ValueError("a schedule needs a cron_expression, or a start_time and an interval_second")
        start, end = self.utc(self.start_time), self.utc(self.end_time)
        if start and end and start >= end:
            raise ValueError("end_time must be after start_time")
        if self.cron_expression and self.interval_second:
            warnings.warn(
                f"The schedule has a cron_expression and an interval_second: the cron expression, {self.cron_expression!r}, is used.",
                stacklevel=2,
            )
        return self

    @property
    def utc_start_time(self) -> str | None:
        """The start in ISO 8601, UTC."""
        start = self.utc(self.start_time)
        return None if start is None else start.isoformat()

    @property
    def utc_end_time(self) -> str | None:
        """The end in ISO 8601, UTC."""
        end = self.utc(self.end_time)
        return None if end is None else end.isoformat()

    def utc(self, time: datetime | None) -> datetime | None:
        """A time of the schedule in UTC."""
        if time is None:
            return None
        if time.tzinfo is None and self.timezone is not None:
            time = time.replace(tzinfo=ZoneInfo(self.timezone))
        return time.astimezone(timezone.utc)
