"""Runs on a Dask cluster on which things go wrong."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dask_cluster import DaskCluster, dask_cluster
from zenml.enums import CheckOutcome, ExecutionStatus, Reach
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.integrations.dask.orchestrators import DaskOrchestrator
from zenml.pipelines import pipeline
from zenml.stack import Stack
from zenml.steps import Resources, step
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

SECONDS = 60


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path, workers=2) as cluster:
        yield cluster


@pytest.fixture
def stack(cluster: DaskCluster, tmp_path: Path) -> Iterator[Stack]:
    orchestrator = DaskOrchestrator(name="dask", address=cluster.address)
    with isolated_stack(tmp_path / "world", orchestrator=orchestrator) as stack:
        yield stack


@step
def give(value: int) -> int:
    return value


@step(enable_cache=False)
def hold(value: int, folder: str) -> int:
    """Say which process this one is, and wait for the file that lets go."""
    place = Path(folder)
    (place / f"{value}.{os.getpid()}").touch()
    deadline = time.monotonic() + SECONDS
    while not (place / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return value


@pipeline
def holding(folder: str) -> None:
    first = hold(give(1), folder=folder, id="first")
    give(2, id="beside")
    give(first, id="behind")


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def holders(folder: Path, count: int) -> list[int]:
    """The processes of so many attempts."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = [int(path.suffix[1:]) for path in folder.glob("*.*")]
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{count} attempts were expected in {folder}")


def test_a_worker_is_killed_and_its_step_begins_again_on_another(
    cluster: DaskCluster, stack: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "held"
    folder.mkdir()

    def kill() -> None:
        (process,) = holders(folder, 1)
        cluster.worker_of(process).kill()
        holders(folder, 2)
        (folder / "go").touch()

    killer = beside(kill)
    run = holding(folder=str(folder)).run()
    killer.join()
    assert run.status is ExecutionStatus.COMPLETED
    assert run.get_step("behind").output.read() == 1
    attempts = stack.metadata_store.attempts(run.get_step("first").id)
    assert [str(attempt.status) for attempt in attempts] == ["crashed", "completed"]
    assert run.get_step("give").attempts == 1


def test_a_scheduler_that_goes_away_ends_the_run(cluster: DaskCluster, stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "held"
    folder.mkdir()

    def kill() -> None:
        holders(folder, 1)
        cluster.scheduler.kill()

    killer = beside(kill)
    with pytest.raises(RunError) as raised:
        holding(folder=str(folder)).run(run_name="unlucky")
    killer.join()
    assert str(raised.value) == (
        f"The Dask scheduler {cluster.address} went away while steps of the run 'unlucky' were under way. Start it again, and go on with "
        "what is finished by `zenml pipeline runs resume unlucky`."
    )
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert run.get_step("first").status.is_finished
    assert run.get_step("behind").status is ExecutionStatus.SKIPPED


def test_a_scheduler_that_is_not_there_is_told_before_anything_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenml.integrations.dask.orchestrators.dask_orchestrator._CONNECT", 0.5)
    orchestrator = DaskOrchestrator(name="far", address="tcp://127.0.0.1:1")
    with isolated_stack(tmp_path / "world", orchestrator=orchestrator) as stack:
        with pytest.raises(StackValidationError) as raised:
            holding(folder=str(tmp_path)).run()
        assert str(raised.value) == (
            "The Dask scheduler tcp://127.0.0.1:1 of the orchestrator 'far' does not answer: start it with `dask scheduler`, or give the "
            "orchestrator another address."
        )
        assert stack.metadata_store.count_runs() == 0
        assert [check.what for check in orchestrator.check() if check.outcome is not CheckOutcome.OK] == [
            "workers"
        ]


@step(resources=Resources(cpu=3, custom={"license": 1}))
def greedy() -> int:
    return 1


@pipeline
def needing() -> None:
    greedy()


def test_a_step_that_needs_more_than_any_worker_has_is_refused(stack: Stack) -> None:
    with pytest.raises(StackValidationError) as raised:
        needing().run()
    assert str(raised.value) == (
        "No worker of the orchestrator 'dask' has what these steps need:\n"
        "  the step 'greedy' needs cpu: 3, of 1\n"
        "  the step 'greedy' needs license: 1, of 0\n"
        'Let them ask for less, or say what workers have when they are started: `dask worker ... --resources "CPU=8 MEMORY=32e9 GPU=1"`.'
    )
    assert stack.metadata_store.count_runs() == 0


@pytest.mark.parametrize(
    ("address", "reach"),
    [
        (None, Reach.HOST),
        ("tcp://127.0.0.1:8786", Reach.HOST),
        ("localhost:8786", Reach.HOST),
        ("tls://[::1]:8786", Reach.HOST),
        ("tcp://10.0.0.5:8786", Reach.NETWORK),
        ("tcp://scheduler.example.org:8786", Reach.NETWORK),
    ],
)
def test_an_address_says_how_far_steps_are_spread(address: str | None, reach: Reach) -> None:
    assert DaskOrchestrator(name="dask", address=address).spread is reach


def test_stores_that_other_machines_cannot_reach_are_refused(tmp_path: Path) -> None:
    orchestrator = DaskOrchestrator(name="far", address="tcp://10.0.0.5:8786")
    with (
        isolated_stack(tmp_path / "world", orchestrator=orchestrator) as stack,
        pytest.raises(StackValidationError, match="choose a metadata store that they can reach"),
    ):
        stack.validate()


@pytest.mark.parametrize("address", ["", "nowhere", "tcp://host", "tcp://host:port"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="expected one as tcp://10.0.0.5:8786"):
        DaskOrchestrator(name="dask", address=address)


def test_a_program_that_runs_a_pipeline_leaves_no_process_behind(tmp_path: Path) -> None:
    """On a cluster of its own, from a script that defines its steps itself."""
    script = tmp_path / "program.py"
    script.write_text(
        """
import psutil
from zenml.integrations.dask.orchestrators import DaskOrchestrator
from zenml.pipelines import pipeline
from zenml.steps import step
from zenml.testing.isolation import isolated_stack

@step
def one() -> int:
    return 1

@step
def two(value: int) -> int:
    return value + 1

@pipeline
def counting():
    two(one())

if __name__ == "__main__":
    with isolated_stack(orchestrator=DaskOrchestrator(name="dask", max_workers=2)):
        print("read", counting().run().get_step("two").output.read())
        print("left", psutil.Process().children(recursive=True))
"""
    )
    ended = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=90, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-2:] == ["read 2", "left []"]
