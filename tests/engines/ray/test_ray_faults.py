"""Runs on a Ray cluster on which things go wrong. The tests stand in the order in which the cluster falls apart."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.ray_cluster import RayCluster, ray_cluster
from zenml.enums import CheckOutcome, ExecutionStatus
from zenml.exceptions import RunCancelledError, RunError, StackValidationError
from zenml.integrations.ray.driver import close_kept
from zenml.integrations.ray.orchestrators import RayOrchestrator
from zenml.integrations.ray.step_operators import RayStepOperator
from zenml.pipelines import pipeline
from zenml.stack import Stack
from zenml.steps import Resources, step
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

# The start of a cluster counts, which may take a minute on a busy machine.
pytestmark = pytest.mark.timeout(300)

SECONDS = 60


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster("--num-gpus=2", '--resources={"license": 2}') as cluster:
        cluster.add_node('--resources={"license": 2}').wait()
        yield cluster
    close_kept()


@pytest.fixture
def stack(cluster: RayCluster, tmp_path: Path) -> Iterator[Stack]:
    orchestrator = RayOrchestrator(name="ray", address=cluster.address)
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
    first = hold(1, folder=folder, id="first")
    hold(2, folder=folder, id="beside")
    give(first, id="behind")


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def holders(folder: Path, count: int) -> dict[int, int]:
    """The processes of so many attempts, by number, and the value that each was given."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        found = {int(path.suffix[1:]): int(path.stem) for path in folder.glob("*.*")}
        if len(found) >= count:
            return found
        time.sleep(0.02)
    raise AssertionError(f"{count} attempts were expected in {folder}")


def held(tmp_path: Path) -> Path:
    folder = tmp_path / "held"
    folder.mkdir()
    return folder


@step(resources=Resources(gpu=1))
def look_at_devices() -> str:
    return os.environ["CUDA_VISIBLE_DEVICES"]


@pipeline(enable_cache=False)
def looking() -> None:
    look_at_devices()


def test_a_step_sees_the_devices_that_ray_has_chosen_for_it(stack: Stack) -> None:
    assert looking().run().get_step("look_at_devices").output.read() in ("0", "1")


@step(resources=Resources(cpu=3, custom={"license": 3}))
def greedy() -> int:
    return 1


@pipeline
def needing() -> None:
    greedy()


def test_a_step_that_needs_more_than_any_node_has_is_refused(stack: Stack) -> None:
    with pytest.raises(StackValidationError) as raised:
        needing().run()
    assert str(raised.value) == (
        "No node of the orchestrator 'ray' has what these steps need:\n"
        "  the step 'greedy' needs cpu: 3, of 1\n"
        "  the step 'greedy' needs license: 3, of 2\n"
        "Let them ask for less, or say what nodes have when they are started: `ray start ... --num-cpus=8 --num-gpus=1 "
        "--resources='{\"license\": 1}'`. If the cluster adds nodes by itself, set the field grows."
    )
    assert stack.metadata_store.count_runs() == 0


def test_a_run_that_is_cancelled_ends_within_seconds_on_all_nodes(stack: Stack, tmp_path: Path) -> None:
    folder = held(tmp_path)
    ended_after = []

    def cancel() -> None:
        processes = holders(folder, 2)
        began = time.monotonic()
        stack.metadata_store.request_cancel(stack.metadata_store.runs()[0].id)
        psutil.wait_procs([psutil.Process(pid) for pid in processes], timeout=SECONDS)
        ended_after.append(time.monotonic() - began)

    canceller = beside(cancel)
    with pytest.raises(RunCancelledError):
        holding(folder=str(folder)).run()
    canceller.join()
    assert ended_after[0] < 15
    assert last_run().status is ExecutionStatus.CANCELLED


@step(resources=Resources(custom={"license": 1}), step_operator="operator", enable_cache=False)
def hold_there(folder: str) -> int:
    """As `hold`, on a node that has a license."""
    place = Path(folder)
    (place / f"0.{os.getpid()}").touch()
    deadline = time.monotonic() + SECONDS
    while not (place / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return 3


@pipeline
def holding_there(folder: str) -> None:
    hold_there(folder=folder)


@step(resources=Resources(custom={"license": 5}), step_operator="operator")
def greedy_there() -> int:
    return 1


@pipeline
def needing_there() -> None:
    greedy_there()


@pytest.fixture
def operated(cluster: RayCluster, tmp_path: Path) -> Iterator[Stack]:
    operator = RayStepOperator(name="operator", address=cluster.address)
    with isolated_stack(tmp_path / "operated", step_operator=operator) as stack:
        yield stack


def test_a_single_step_that_needs_more_than_any_node_has_is_refused(operated: Stack) -> None:
    with pytest.raises(StackValidationError, match="the step 'greedy_there' needs license: 5, of 2"):
        needing_there().run()
    assert operated.metadata_store.count_runs() == 0


def test_a_node_is_killed_and_its_single_step_begins_again_on_another(
    cluster: RayCluster, operated: Stack, tmp_path: Path
) -> None:
    folder = held(tmp_path)

    def kill() -> None:
        (process,) = holders(folder, 1)
        cluster.kill(next(node for node in cluster.nodes if node.holds(process)))
        holders(folder, 2)
        (folder / "go").touch()

    killer = beside(kill)
    run = holding_there(folder=str(folder)).run()
    killer.join()
    held_there = run.get_step("hold_there")
    assert (run.status, held_there.output.read()) == (ExecutionStatus.COMPLETED, 3)
    attempts = operated.metadata_store.attempts(held_there.id)
    assert [str(attempt.status) for attempt in attempts] == ["crashed", "completed"]


def test_a_node_is_killed_and_its_step_begins_again_on_another(
    cluster: RayCluster, stack: Stack, tmp_path: Path
) -> None:
    folder = held(tmp_path)
    lost = []

    def kill() -> None:
        second = cluster.nodes[1]
        lost.extend(value for pid, value in holders(folder, 2).items() if second.holds(pid))
        cluster.kill(second)
        (folder / "go").touch()

    killer = beside(kill)
    run = holding(folder=str(folder)).run()
    killer.join()
    assert run.status is ExecutionStatus.COMPLETED
    assert run.get_step("behind").output.read() == 1
    attempts = {
        value: [str(attempt.status) for attempt in stack.metadata_store.attempts(run.get_step(name).id)]
        for name, value in (("first", 1), ("beside", 2))
    }
    assert len(lost) == 1
    assert attempts == {lost[0]: ["crashed", "completed"], 3 - lost[0]: ["completed"]}


def test_a_cluster_that_goes_away_ends_the_run(cluster: RayCluster, stack: Stack, tmp_path: Path) -> None:
    folder = held(tmp_path)

    def kill() -> None:
        holders(folder, 1)
        cluster.head.kill()

    killer = beside(kill)
    with pytest.raises(RunError) as raised:
        holding(folder=str(folder)).run(run_name="unlucky")
    killer.join()
    message = str(raised.value)
    assert message.startswith(f"The Ray cluster {cluster.address} is gone: ")
    assert message.endswith(
        "Steps of the run 'unlucky' were under way. Start the cluster again, and go on with what is finished by "
        "`zenml pipeline runs resume unlucky`."
    )
    run = last_run()
    assert run.status is ExecutionStatus.FAILED
    assert run.get_step("first").status.is_finished
    assert run.get_step("behind").status is ExecutionStatus.SKIPPED


def test_a_cluster_that_is_not_there_is_told_before_anything_is_recorded(
    cluster: RayCluster, stack: Stack, tmp_path: Path
) -> None:
    with pytest.raises(StackValidationError) as raised:
        holding(folder=str(tmp_path)).run()
    assert str(raised.value) == (
        f"The Ray cluster {cluster.address} does not answer: Connection refused. Is it running, and can this machine reach it?"
    )
    assert stack.metadata_store.count_runs() == 0
    failed = [check for check in stack.orchestrator.check() if check.outcome is not CheckOutcome.OK]
    assert [check.what for check in failed] == ["nodes"]
