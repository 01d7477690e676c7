"""`zenml schedule run` as a real process, with real runs, signals and deaths."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import pytest

from zenml.config.global_config import GlobalConfiguration
from zenml.enums import ExecutionStatus
from zenml.model.schedules import Firing
from zenml.profiles.profiles import create_profile
from zenml.repository import Repository

CODE = """
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

from zenml.pipelines import Schedule, pipeline
from zenml.steps import StepContext, step


@step
def tick(context: StepContext) -> None:
    with Path("ticks").open("a") as file:
        file.write(f"{context.scheduled_time.isoformat()}\\n")


@step(enable_cache=False)
def sleep() -> None:
    Path("sleeping").touch()
    time.sleep(60)


@pipeline
def ticking():
    tick()


@pipeline
def sleeping():
    sleep()


def register(pipeline, **options):
    pipeline.run(schedule=Schedule(start_time=datetime.now(timezone.utc), **options))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(autouse=True)
def _project() -> None:
    Path("project.py").write_text(CODE)


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts `zenml schedule run`."""
    processes = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", "from zenml.cli import main; main()", "schedule", "run", *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        processes.append(process)
        return process

    yield run
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def register(call: str) -> None:
    program = f"from project import *; {call}"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come true in time"
        time.sleep(0.05)


def ticks() -> list[datetime]:
    path = Path("ticks")
    return [datetime.fromisoformat(line) for line in path.read_text().split()] if path.exists() else []


def last(name: str) -> Firing:
    found = Repository().get_schedule(name).last
    assert found is not None
    return found


def test_every_second_until_ctrl_c(start: Start) -> None:
    register("register(ticking(), interval_second=timedelta(seconds=1), catchup=True)")
    process = start()
    wait_for(lambda: len(ticks()) >= 3)
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert len(re.findall(r"Schedule 'ticking': started the run 'ticking-\S+Z'", said)) >= 3
    assert {later - earlier for earlier, later in pairwise(ticks())} == {timedelta(seconds=1)}
    assert ticks()[-1] <= datetime.now(timezone.utc)
    pipeline = Repository().get_pipeline("ticking")
    assert pipeline is not None
    assert [run.runtime_configuration["schedule"]["time"] for run in pipeline.runs][: len(ticks())] == [
        tick.isoformat() for tick in ticks()
    ]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 0)])
def test_being_stopped_cancels_what_runs(start: Start, number: signal.Signals, code: int) -> None:
    register("register(sleeping(), interval_second=timedelta(days=1))")
    process = start()
    wait_for(Path("sleeping").exists)
    process.send_signal(number)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert last("sleeping").status is ExecutionStatus.CANCELLED
    run = Repository().get_run(last("sleeping").run)
    assert run is not None
    assert run.status is ExecutionStatus.CANCELLED


def test_a_run_outlives_a_scheduler_that_is_killed(start: Start) -> None:
    """The next scheduler leaves it alone while it goes on, says so, and does not start it again when it was killed too."""
    register("register(sleeping(), interval_second=timedelta(seconds=1), name='naps')")
    process = start()
    wait_for(Path("sleeping").exists)
    process.kill()
    process.wait()
    first = last("naps")
    assert first.status is ExecutionStatus.RUNNING
    Path("sleeping").unlink()

    second = start()
    assert second.stdout is not None
    lines = iter(second.stdout.readline, "")
    wait_for(lambda: "'naps' is due, and waits for the end of its last run" in next(lines))
    assert last("naps") == first

    os.kill(first.owner.pid, signal.SIGKILL)
    wait_for(Path("sleeping").exists)
    now = last("naps")
    assert now.time > first.time
    assert now.token != first.token
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    run = Repository().get_run(first.run)
    assert run is not None
    assert run.status is ExecutionStatus.CRASHED


@pytest.mark.parametrize("store_type", ["local", "sql"])
def test_two_schedulers_share_a_profile(start: Start, store_type: str) -> None:
    create_profile("shared", store_type=store_type)
    GlobalConfiguration().activate_profile("shared")
    register("register(ticking(), interval_second=timedelta(milliseconds=300), catchup=True)")
    processes = [start(), start()]
    wait_for(lambda: len(ticks()) >= 3)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        assert process.wait(60) == 0
    times = ticks()
    assert len(set(times)) == len(times)
    assert {later - earlier for earlier, later in pairwise(times)} == {timedelta(milliseconds=300)}
