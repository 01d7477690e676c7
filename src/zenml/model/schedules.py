"""What a profile keeps about pipelines that run by a schedule. Times are datetimes in UTC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, ClassVar

from zenml.enums import ExecutionStatus
from zenml.model.runs import Owner

if TYPE_CHECKING:
    from zenml.model.json import Document


@dataclass(frozen=True)
class Firing:
    """A scheduled time that was taken up, and what came of it.

    It is `pending` while `owner`, a scheduler, starts a process for it; `running` from the moment when that process, `owner` from then on,
    has taken it over; then it has ended as `status`. Only the holder of `token` can take over or end it. `since` is when it got
    its status, `error` says why it ended so, where it did not end well.
    """

    time: datetime
    run: str
    status: ExecutionStatus
    token: str
    owner: Owner
    since: datetime
    error: str | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a process has taken it over: it is not started again then, whatever happens."""
        return self.status is not ExecutionStatus.PENDING


@dataclass(frozen=True)
class ScheduleRecord:
    """A pipeline that runs by itself: what to run, where, and when.

    `source` names the pipeline's class or decorated function, "package.module:name", relative to `source_root`; `arguments` is what
    it is made with, `directory` the working directory of its runs. It runs by `cron_expression`, in the IANA zone `timezone` (None: the
    local one), or every `interval` from `start` on; never before `start` or after `end`. `last` is the latest time that was taken up.
    """

    KIND: ClassVar[str] = "schedules"
    DISPLAY: ClassVar[str] = "schedule"

    name: str
    pipeline: str
    source: str
    source_root: str
    directory: str
    stack: str
    created: datetime
    cron_expression: str | None = None
    timezone: str | None = None
    start: datetime | None = None
    end: datetime | None = None
    interval: timedelta | None = None
    catchup: bool = False
    arguments: Mapping[str, Any] = field(default_factory=dict)
    enable_cache: bool = True
    verify: str = "present"
    runtime_configuration: Mapping[str, Any] = field(default_factory=dict)
    is_paused: bool = False
    last: Firing | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The schedule's name."""
        return self.name

    @property
    def when(self) -> str:
        """The rule as people read it: "0 2 * * *", "0 2 * * * (Europe/Berlin)", "every 1:00:00"."""
        if self.cron_expression is None:
            return f"every {self.interval}"
        return f"{self.cron_expression} ({self.timezone})" if self.timezone else self.cron_expression

    def to_document(self) -> dict[str, Any]:
        """The record as JSON data, without what the key says."""
        document: dict[str, Any] = {
            **self.unknown,
            "pipeline": self.pipeline,
            "source": self.source,
            "source_root": self.source_root,
            "directory": self.directory,
            "stack": self.stack,
            "created": self.created.isoformat(),
            "cron_expression": self.cron_expression,
            "timezone": self.timezone,
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "interval_second": self.interval and self.interval.total_seconds(),
            "catchup": self.catchup,
            "arguments": dict(self.arguments),
            "enable_cache": self.enable_cache,
            "verify": self.verify,
            "runtime_configuration": dict(self.runtime_configuration),
            "paused": self.is_paused,
            "last": self.last and _firing_document(self.last),
        }
        return {name: value for name, value in document.items() if value is not None}

    @classmethod
    def from_document(cls, key: str, document: Document) -> ScheduleRecord:
        """The record of that key and content. Raises KeyError, ValueError or TypeError for a document that is none."""
        rest = dict(document)
        interval, last = rest.pop("interval_second", None), rest.pop("last", None)
        return cls(
            name=key,
            pipeline=rest.pop("pipeline"),
            source=rest.pop("source"),
            source_root=rest.pop("source_root"),
            directory=rest.pop("directory"),
            stack=rest.pop("stack"),
            created=_time(rest.pop("created")),
            cron_expression=rest.pop("cron_expression", None),
            timezone=rest.pop("timezone", None),
            start=_optional_time(rest.pop("start", None)),
            end=_optional_time(rest.pop("end", None)),
            interval=None if interval is None else timedelta(seconds=interval),
            catchup=rest.pop("catchup", False),
            arguments=dict(rest.pop("arguments", {})),
            enable_cache=rest.pop("enable_cache", True),
            verify=rest.pop("verify", "present"),
            runtime_configuration=dict(rest.pop("runtime_configuration", {})),
            is_paused=rest.pop("paused", False),
            last=None if last is None else _firing(last),
            unknown=rest,
        )


def _firing_document(firing: Firing) -> dict[str, Any]:
    return {
        "time": firing.time.isoformat(),
        "run": firing.run,
        "status": firing.status.value,
        "token": firing.token,
        "owner": asdict(firing.owner),
        "since": firing.since.isoformat(),
        **({"error": firing.error} if firing.error else {}),
    }


def _firing(document: Document) -> Firing:
    return Firing(
        time=_time(document["time"]),
        run=document["run"],
        status=ExecutionStatus(document["status"]),
        token=document["token"],
        owner=Owner(
            **{f.name: document["owner"][f.name] for f in fields(Owner) if f.name in document["owner"]}
        ),
        since=_time(document["since"]),
        error=document.get("error"),
    )


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    # Written by hand, one may lack its zone.
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def _optional_time(text: str | None) -> datetime | None:
    return None if text is None else _time(text)
