from datetime import datetime, timezone
from typing import Any

from zenml.model.schedules import ScheduleRecord

UTC = timezone.utc
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def a_schedule(name: str = "nightly", **fields: Any) -> ScheduleRecord:
    return ScheduleRecord(
        name=name,
        **{
            "pipeline": "training",
            "source": "training:training",
            "source_root": "/project",
            "directory": "/project",
            "stack": "default",
            "created": NEW_YEAR,
            **fields,
        },
    )
