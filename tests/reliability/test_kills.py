"""Runs that are killed at random moments: what is recorded stays true, and what is finished is never lost or done twice."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.reliability.amount import FULL
from tests.reliability.checks import assert_sound, is_settled, within
from tests.reliability.programs import JOURNAL, STEPS, expected, starts
from tests.reliability.zygote import Child, Zygote, zygote
from zenml.enums import ExecutionStatus
from zenml.orchestrators import LocalOrchestrator
from zenml.post_execution import PipelineRunView, run_of
from zenml.stack import Stack
from zenml.testing import isolated_stack

KILLS = 200 if FULL else 20
TOGETHER = 5  # in one store, one after another
PROGRAMS = "tests.reliability.programs"


@pytest.fixture
def processes() -> Iterator[Zygote]:
    with zygote() as made:
        yield made


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    with isolated_stack(
        tmp_path / "world", orchestrator=LocalOrchestrator(name="workers", max_workers=2)
    ) as stack:
        yield stack


@pytest.mark.timeout(300)
@pytest.mark.parametrize("batch", range(KILLS // TOGETHER))
def test_killed_runs(
    batch: int, stack: Stack, processes: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(batch * TOGETHER, (batch + 1) * TOGETHER):
        path = tmp_path / f"journal_{number}"
        monkeypatch.setenv(JOURNAL, str(path))
        kill_and_resume(number, stack, processes, path)


def kill_and_resume(number: int, stack: Stack, processes: Zygote, path: Path) -> None:
    chance, name = random.Random(number), f"run_{number}"  # noqa: S311 - it is to be repeatable
    child = processes.start(f"{PROGRAMS}:run", path.with_suffix(".log"), seed=number, name=name)
    wait_for_a_moment(chance, child, path)
    family = child.family()
    kill_some(chance, child, family)
    child.wait()

    store = stack.metadata_store
    within(1, lambda: is_settled(store, name))
    view = run_of(store, stack.artifact_store, name)
    finished = completed_steps(view)
    assert_sound(stack)
    within(5, lambda: not any(lives(process) for process in family))
    before = starts(path)

    if view is None or view.status is not ExecutionStatus.COMPLETED:
        again = "run" if view is None else "resume"
        second = processes.start(f"{PROGRAMS}:{again}", path.with_suffix(".log"), seed=number, name=name)
        assert second.wait() == 0, second.log.read_text()

    last = run_of(store, stack.artifact_store, store.runs(limit=1, newest_first=True)[0].name)
    assert last is not None
    assert last.status is ExecutionStatus.COMPLETED
    values = {step.name: step.output.read() for step in last.steps}
    assert values == expected(number)
    assert len(values) == STEPS
    repeated = starts(path) - before
    assert not set(repeated) & finished, "a step that was finished has been executed again"
    assert set(repeated) == set(values) - finished
    assert max(starts(path).values()) <= 2
    assert_sound(stack)


def wait_for_a_moment(chance: random.Random, child: Child, journal: Path) -> None:
    """Wait until the run has come to a random event, and some time more; or, seldom, for a random time from its start."""
    if chance.random() < 0.15:
        time.sleep(chance.uniform(0, 0.6))
        return
    events = chance.randrange(2 * STEPS)
    deadline = time.monotonic() + 60
    while child.returncode() is None and written(journal) <= events:
        assert time.monotonic() < deadline, child.log.read_text()
        time.sleep(0.001)
    time.sleep(chance.expovariate(1 / 0.003))


def written(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


def completed_steps(view: PipelineRunView | None) -> set[str]:
    return {step.name for step in view.steps if step.status is ExecutionStatus.COMPLETED} if view else set()


def kill_some(chance: random.Random, child: Child, family: list[psutil.Process]) -> None:
    """The process that drives the run; with its group, as a container's runtime does; or with all others, as a power failure does."""
    kind = chance.randrange(3)
    if kind == 0:
        child.kill()
        return
    child.kill_group()
    for process in family if kind == 2 else ():
        with suppress(psutil.NoSuchProcess):
            process.kill()


def lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_harness_counts_what_was_executed(
    stack: Stack, processes: Zygote, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    monkeypatch.setenv(JOURNAL, str(path))
    child = processes.start(f"{PROGRAMS}:run", tmp_path / "log", seed=1, name="whole")
    assert child.wait() == 0, child.log.read_text()
    assert starts(path) == Counter(dict.fromkeys(expected(1), 1))
    (run,) = stack.metadata_store.runs()
    assert run.status is ExecutionStatus.COMPLETED
