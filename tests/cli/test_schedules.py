import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml
from zenml.enums import ExecutionStatus
from zenml.model.schedules import ScheduleRecord
from zenml.profiles.profiles import open_registry
from zenml.repository import Repository

CODE = """\
import os
import sys
from datetime import datetime, timedelta, timezone

from zenml.exceptions import ZenMLBaseException
from zenml.pipelines import Schedule, pipeline
from zenml.steps import StepContext, step


@step
def when(context: StepContext) -> str:
    return str(context.scheduled_time)


@step
def fail(fails: bool) -> None:
    if fails:
        raise OSError("the disk is on fire")


@pipeline
def report(fails):
    when()
    fail(fails=fails)


if __name__ == "__main__":
    options = eval(sys.argv[1])
    fails = options.pop("fails", False)
    try:
        report(fails=fails).run(schedule=Schedule(**options))
    except ZenMLBaseException as error:
        sys.exit(f"Error: {error}")
"""

DAILY = "dict(start_time=datetime.now(timezone.utc) - timedelta(days=2, hours=1), interval_second=timedelta(days=1)"


Register = Callable[[str], str]


@pytest.fixture
def register(quiet: Zenml) -> Register:
    """Registers the pipeline with options; gives what is said."""
    Path("report.py").write_text(CODE)

    def run(options: str) -> str:
        program = [sys.executable, "report.py", options]
        return subprocess.run(program, capture_output=True, text=True, check=False).stderr

    return run


def plain(text: str) -> str:
    """The text with its times and tokens made alike."""
    return re.sub(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d:\d\d(\.\d+)?", r"2026-01-01\g<1>00:00:00", text)


def test_no_schedules(quiet: Zenml) -> None:
    assert quiet("schedule", "list").output == (
        "Running with active profile: 'default' (local)\nThere are no schedules in the active profile.\n"
    )
    assert json.loads(quiet("schedule", "list", "-o", "json").stdout) == []


def test_from_registration_to_deletion(quiet: Zenml, register: Register) -> None:
    assert plain(register(f"{DAILY})")).splitlines()[-1] == (
        "Registered the schedule 'report' (every 1 day, 0:00:00) of the pipeline 'report' on the stack 'default': it runs while "
        "`zenml schedule run` does, first at 2026-01-01 00:00:00 UTC."
    )
    (listed,) = json.loads(quiet("schedule", "list", "-o", "json").stdout)
    first = listed.pop("next")
    assert datetime.fromisoformat(first) < datetime.now(timezone.utc) - timedelta(days=2)
    assert listed == {
        "name": "report",
        "pipeline": "report",
        "stack": "default",
        "when": "every 1 day, 0:00:00",
        "paused": False,
        "last": None,
        "last_run": None,
        "status": None,
        "error": None,
    }

    ran = quiet("schedule", "run", "--once")
    assert ran.exit_code == 0, ran.output
    (listed,) = json.loads(quiet("schedule", "list", "-o", "json").stdout)
    assert datetime.fromisoformat(listed["last"]) - datetime.fromisoformat(first) == timedelta(days=2)
    assert datetime.fromisoformat(listed["next"]) - datetime.fromisoformat(listed["last"]) == timedelta(
        days=1
    )
    assert (listed["status"], listed["error"]) == ("completed", None)
    run = Repository().get_run(listed["last_run"])
    assert run is not None
    assert run.name.startswith("report-20")
    time = run.runtime_configuration["schedule"]["time"]
    assert run.runtime_configuration["schedule"]["name"] == "report"
    assert run.get_step("when").output.read() == str(datetime.fromisoformat(time))

    assert quiet("schedule", "run", "--once").exit_code == 0
    assert len(Repository().get_pipeline("report").runs) == 1  # type: ignore[union-attr]

    described = json.loads(quiet("schedule", "describe", "report", "-o", "json").stdout)
    assert described["source"] == "report:report"
    assert described["source_root"] == described["directory"] == str(Path.cwd())
    assert "PROPERTY" in quiet("schedule", "describe", "report").output

    assert quiet("schedule", "pause", "report").output.endswith("Paused schedule 'report'.\n")
    assert "paused" in quiet("schedule", "list").output
    assert quiet("schedule", "resume", "report").output.endswith("Resumed schedule 'report'.\n")
    refused = quiet("schedule", "delete", "report")
    assert refused.exit_code == 2
    assert "give --yes" in refused.output
    assert quiet("schedule", "delete", "report", "--yes").output.endswith("Deleted schedule 'report'.\n")
    assert Repository().schedules == []


def test_a_run_that_fails(quiet: Zenml, register: Register) -> None:
    register(f"{DAILY}, fails=True)")
    ran = quiet("schedule", "run", "--once")
    assert ran.exit_code == 1
    assert re.search(r"the run 'report-\S+Z' ended: failed\.", ran.output)
    schedule = Repository().get_schedule("report")
    assert schedule.last is not None
    assert (schedule.last.status, schedule.last.error) == ("failed", "OSError: the disk is on fire")
    (listed,) = json.loads(quiet("schedule", "list", "-o", "json").stdout)
    assert listed["error"] == "OSError: the disk is on fire"


def test_the_code_is_gone(quiet: Zenml, register: Register) -> None:
    register(f"{DAILY})")
    Path("report.py").unlink()
    assert quiet("schedule", "run", "--once").exit_code == 1
    schedule = Repository().get_schedule("report")
    assert schedule.last is not None
    assert "'report:report' cannot be imported" in (schedule.last.error or "")


def test_a_run_name_that_is_taken(quiet: Zenml, register: Register) -> None:
    """Another profile keeps its runs in the same store, or the schedule was deleted and registered again."""
    register(
        "dict(start_time=datetime(2026, 1, 1, tzinfo=timezone.utc), interval_second=timedelta(days=9999))"
    )
    for _ in range(2):
        assert quiet("schedule", "run", "--once").exit_code == 0
        schedule = Repository().get_schedule("report")
        open_registry("default").change_schedule("report", never_run)
    pipeline = Repository().get_pipeline("report")
    assert pipeline is not None
    assert pipeline.get_run_names() == ["report-2026-01-01T00:00:00Z", "report-2026-01-01T00:00:00Z-2"]
    assert schedule.last is not None
    assert schedule.last.run == "report-2026-01-01T00:00:00Z-2"


@pytest.mark.parametrize(
    ("age", "run", "status"),
    [
        (timedelta(0), None, "completed"),
        (timedelta(0), "a run that nobody registered yet", "running"),
        (timedelta(hours=1), "a run that nobody registered", "crashed"),
    ],
)
def test_a_run_on_another_machine(
    quiet: Zenml, register: Register, age: timedelta, run: str | None, status: str
) -> None:
    """Its process cannot be seen from here, nor after a reboot: the metadata store knows."""
    register(f"{DAILY})")
    quiet("schedule", "run", "--once")

    def elsewhere(schedule: ScheduleRecord) -> ScheduleRecord:
        assert schedule.last is not None
        moved = replace(
            schedule.last,
            status=ExecutionStatus.RUNNING,
            owner=replace(schedule.last.owner, boot_id="another"),
            since=datetime.now(timezone.utc) - age,
            run=run or schedule.last.run,
        )
        return replace(schedule, last=moved)

    Repository().registry.change_schedule("report", elsewhere)
    (listed,) = json.loads(quiet("schedule", "list", "-o", "json").stdout)
    assert listed["status"] == status


def never_run(schedule: ScheduleRecord) -> ScheduleRecord:
    return replace(schedule, last=None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "dict(cron_expression='61 * * * *')",
            "The schedule 'report' has '61 * * * *', which is no cron expression: it has a bad minute.",
        ),
        (
            "dict(cron_expression='@daily', end_time=datetime(2026, 1, 1))",
            "The schedule 'report' would never run: @daily has no time after ",
        ),
        ("dict(cron_expression='@daily', name='../x')", "'../x' cannot be the name of a schedule"),
    ],
)
def test_schedules_that_cannot_be(register: Register, options: str, message: str) -> None:
    assert f"Error: {message}" in register(options)
    assert Repository().schedules == []


def test_a_schedule_that_is_registered_already(register: Register) -> None:
    register("dict(cron_expression='@daily')")
    assert (
        "Error: The schedule 'report' is registered already (@daily, on the stack 'default'): replace it with Schedule(..., "
        "overwrite=True)"
    ) in register("dict(cron_expression='@hourly')")
    assert "Registered the schedule 'report' (@hourly)" in register(
        "dict(cron_expression='@hourly', overwrite=True)"
    )
    assert "Registered the schedule 'more'" in register("dict(cron_expression='@hourly', name='more')")
    assert [schedule.when for schedule in Repository().schedules] == ["@hourly", "@hourly"]


@pytest.mark.parametrize("command", ["describe", "run", "pause", "resume", "delete"])
def test_a_schedule_that_is_unknown(quiet: Zenml, register: Register, command: str) -> None:
    register("dict(cron_expression='@daily')")
    result = quiet("schedule", command, "repotr")
    assert result.exit_code == 1
    assert "Error: Schedule 'repotr' does not exist. Did you mean 'report'?" in result.output


def test_a_list_without_what_evaluates_cron(
    quiet: Zenml, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("dict(cron_expression='@daily')")
    monkeypatch.setitem(sys.modules, "cronsim", None)
    result = quiet("schedule", "list")
    assert result.exit_code == 0
    assert "run `pip install 'cronsim>=2.6'`" in result.output
