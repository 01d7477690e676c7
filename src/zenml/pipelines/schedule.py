"""When a pipeline runs by itself."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, model_validator

if TYPE_CHECKING:
    from typing_extensions import Self


class Schedule(BaseModel):
    """A cron expression, or a start and an interval. Times without a zone are local ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron_expression: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    interval_second: timedelta | None = None
    catchup: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.interval_second is not None and self.interval_second <= timedelta(0):
            raise ValueError(f"interval_second must be longer than nothing, it is {self.interval_second}")
        if not self.cron_expression and not (self.start_time and self.interval_second):
            raise ValueError("a schedule needs a cron_expression, or a start_time and an interval_second")
        if self.start_time and self.end_time and _utc(self.start_time) >= _utc(self.end_time):
            raise ValueError("end_time must be after start_time")
        return self

    @property
    def utc_start_time(self) -> str | None:
        """The start in ISO 8601, UTC."""
        return None if self.start_time is None else _utc(self.start_time).isoformat()

    @property
    def utc_end_time(self) -> str | None:
        """The end in ISO 8601, UTC."""
        return None if self.end_time is None else _utc(self.end_time).isoformat()


def _utc(time: datetime) -> datetime:
    return time.astimezone(timezone.utc)
