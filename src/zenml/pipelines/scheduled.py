"""Registering pipelines that run by a schedule, and `python -m zenml.pipelines.scheduled SCHEDULE TOKEN`: one run of such a pipeline.

A scheduler starts the latter for each time that it has claimed, with the token of the claim. Exit code 0 when the run is complete, or
another process has taken the claim over; 1 when it failed; 130 or 143 when it was cancelled.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.engine.errors import error_record
from zenml.engine.signals import terminable
from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    ConfigurationError,
    DuplicateRunNameError,
    PipelineConfigurationError,
    RunCancelledError,
)
from zenml.logger import get_logger, show_messages
from zenml.model.schedules import ScheduleRecord
from zenml.pipelines.origin import load_pipeline
from zenml.pipelines.running import active_stack, check_stack, execute, prepare
from zenml.repository import Repository
from zenml.schedules.firings import end, take_over
from zenml.schedules.times import next_time

if TYPE_CHECKING:
    from zenml.model.schedules import Firing
    from zenml.pipelines.running import Prepared
    from zenml.pipelines.schedule import Schedule

logger = get_logger("zenml.schedules")

_INTERRUPTED = 130
"""Exit code of a run that was cancelled: 128 + SIGINT."""


def register(prepared: Prepared, schedule: Schedule, options: Mapping[str, Any]) -> ScheduleRecord:
    """Keep a pipeline that was found to fit its stack, to be run by `zenml schedule run` with the `options` of `run(...)`.

    Raises:
        PipelineConfigurationError: another process cannot import the pipeline.
        ConfigurationError: the cron expression is none, or its times have all passed.
        MissingPackageError: what evaluates cron expressions is not installed.
        EntityExistsError: a schedule of this name is registered.
    """
    deployment = prepared.compiled.deployment
    if not deployment.source:
        raise PipelineConfigurationError(
            f"The pipeline '{deployment.pipeline}' cannot be run by a schedule: another process could not import it. It is defined in a "
            "notebook, inside of a function, or was given what is no JSON data. Define it at the top of a module."
        )
    record = ScheduleRecord(
        name=schedule.name or deployment.pipeline,
        pipeline=deployment.pipeline,
        source=deployment.source,
        source_root=deployment.source_root,
        directory=str(Path.cwd()),
        stack=deployment.stack.name,
        created=_now(),
        cron_expression=schedule.cron_expression,
        timezone=schedule.timezone,
        start=schedule.utc(schedule.start_time),
        end=schedule.utc(schedule.end_time),
        interval=schedule.interval_second,
        catchup=schedule.catchup,
        arguments=deployment.arguments,
        enable_cache=deployment.enable_cache,
        verify=deployment.verify,
        runtime_configuration=options,
    )
    first = next_time(record)
    if first is None:
        raise ConfigurationError(
            f"The schedule '{record.name}' would never run: {record.when} has no time after {_shown(record.created)}"
            f"{f' and before its end, {_shown(record.end)}' if record.end else ''}."
        )
    kept = Repository().registry.register_schedule(
        record, overwrite=schedule.overwrite, numbered=schedule.name is None
    )
    logger.info(
        "Registered the schedule '%s' (%s) of the pipeline '%s' on the stack '%s': it runs while `zenml schedule run` does, first at %s.",
        kept.name,
        kept.when,
        kept.pipeline,
        kept.stack,
        _shown(next_time(kept) or first),
    )
    return kept


def main(arguments: Sequence[str] | None = None) -> int:
    """Take over what was claimed with the token, and run it."""
    parser = argparse.ArgumentParser(prog="python -m zenml.pipelines.scheduled", description=__doc__)
    parser.add_argument("schedule", help="name of the schedule, in the active profile")
    parser.add_argument("token", help="token of the claim")
    given = parser.parse_args(arguments)
    show_messages()
    registry = Repository().registry
    schedule = registry.change_schedule(given.schedule, take_over(given.token, _now()))
    if schedule is None or schedule.last is None:
        logger.info("The schedule '%s' is gone, or its run was started by another process.", given.schedule)
        return 0
    status, error, run, number = ExecutionStatus.CANCELLED, None, schedule.last.run, 1
    try:
        with terminable():
            while not _run(schedule, schedule.last, run):
                # Another profile keeps its runs in the same store, and has a schedule of the same name.
                number += 1
                run = f"{schedule.last.run}-{number}"
        status = ExecutionStatus.COMPLETED
    except RunCancelledError as cancelled:
        error = str(cancelled)
        return _INTERRUPTED
    except KeyboardInterrupt:
        return _INTERRUPTED
    except Exception as failure:  # noqa: BLE001  whatever the user's code raises
        record = error_record(failure)
        status, error = ExecutionStatus.FAILED, f"{record.type}: {record.message}"
        sys.stderr.write(record.traceback)
        return 1
    finally:
        registry.change_schedule(schedule.name, end(given.token, status, _now(), error=error, run=run))
    return 0


def _run(schedule: ScheduleRecord, firing: Firing, run: str) -> bool:
    """Run the pipeline on its stack; False if there is a run of that name."""
    root = Path(schedule.source_root)
    pipeline = load_pipeline(schedule.source, schedule.arguments, root)
    stack = active_stack()
    check_stack(stack)
    options = {
        **schedule.runtime_configuration,
        "schedule": {"name": schedule.name, "time": firing.time.isoformat()},
    }
    prepared = prepare(
        pipeline,
        stack,
        run_name=run,
        enable_cache=schedule.enable_cache,
        verify=schedule.verify,
        options=options,
        root=root,
    )
    try:
        execute(prepared)
    except DuplicateRunNameError:
        return False
    return True


def _shown(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _now() -> datetime:
    return datetime.now(timezone.utc)


if __name__ == "__main__":
    sys.exit(main())
