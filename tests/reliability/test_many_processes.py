"""Many processes that write runs into one metadata store at once, and kills in the midst of it."""

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.reliability.amount import FULL
from tests.reliability.writers import opened
from tests.reliability.zygote import Child, zygote
from zenml.enums import ExecutionStatus

PROCESSES = 32 if FULL else 12
RUNS = 50 if FULL else 5
KILLS = 200 if FULL else 15


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def where(request, tmp_path) -> str:
    """A store that nobody has made yet: its path, or its URL."""
    if request.param == "sqlite":
        return str(tmp_path / "new" / "metadata.db")
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture(scope="module")
def processes():
    with zygote() as made:
        yield made


@pytest.fixture
def start(processes, where, tmp_path):
    """Start a process that writes runs as soon as there is the file "go"."""

    def started(number: int, count: int) -> Child:
        return processes.start(
            "tests.reliability.writers:write_runs",
            tmp_path / f"log {number}",
            where=where,
            number=number,
            count=count,
            go=str(tmp_path / "go"),
        )

    return started


def assert_sound(where: str) -> None:
    if "://" not in where:
        with closing(sqlite3.connect(where)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.timeout(900)
def test_many_processes_write_runs_without_one_error(where: str, start, tmp_path: Path) -> None:
    writers = [start(number, RUNS) for number in range(PROCESSES)]
    (tmp_path / "go").touch()  # all at once, into a store that none has made
    codes = [writer.wait(600) for writer in writers]
    assert [writer.log.read_text() for writer in writers] == [""] * PROCESSES
    assert codes == [0] * PROCESSES
    store = opened(where)
    runs = store.runs()
    assert len(runs) == PROCESSES * RUNS
    assert {run.status for run in runs} == {ExecutionStatus.COMPLETED}
    assert len(store.pipelines()) == 3
    for run in runs[::7]:
        a, b, c, d = store.steps(run.id)
        assert (a.status, b.status) == (ExecutionStatus.COMPLETED, ExecutionStatus.CACHED)
        assert (c.status, c.attempts) == (ExecutionStatus.COMPLETED, 2)
        assert d.status in (ExecutionStatus.COMPLETED, ExecutionStatus.SKIPPED)
        assert store.outputs(b.id) == store.outputs(a.id)
    assert_sound(where)


@pytest.mark.timeout(900)
def test_a_writer_killed_at_any_moment_leaves_what_is_true(where: str, start, tmp_path: Path) -> None:
    chance = random.Random(5)  # noqa: S311 - the same moments in each test
    store = opened(where)
    names: set[str] = set()
    settled: set[ExecutionStatus] = set()
    (tmp_path / "go").touch()
    for number in range(KILLS):
        writer = start(number, 10_000)
        begun = time.monotonic()
        while not any(run.name.startswith(f"{number}/") for run in store.runs(newest_first=True, limit=1)):
            assert time.monotonic() < begun + 60, writer.log.read_text()
        time.sleep(chance.uniform(0, 0.1))  # it is the moment that is random
        writer.kill()
        assert writer.wait() == -9, writer.log.read_text()
        runs = store.runs()
        assert names <= {run.name for run in runs}  # what was committed stays
        names = {run.name for run in runs}
        for run in runs[-2:]:
            settled.add(run.status)
            for step in store.steps(run.id):
                assert step.status.is_finished
                assert all(attempt.status.is_finished for attempt in store.attempts(step.id))
                if step.status is ExecutionStatus.COMPLETED and step.name != "d":
                    assert list(store.outputs(step.id)) == ["output"]
                elif step.status is ExecutionStatus.CRASHED:
                    assert store.outputs(step.id) == {}
    assert settled <= {ExecutionStatus.COMPLETED, ExecutionStatus.CRASHED}
    assert ExecutionStatus.CRASHED in settled
    assert_sound(where)
