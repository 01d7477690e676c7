"""Workers that are forked are as those that are started: in what they see, in how they end, and in what outlives whom."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import StepCrashedError
from zenml.model.runs import StepOutcome, StepTask
from zenml.orchestrators.fork_server import ForkServer
from zenml.orchestrators.worker_pool import WorkerPool

SECONDS = 60.0

pytestmark = pytest.mark.skipif(not ForkServer.is_possible(), reason="workers are forked on Linux alone")


@dataclass(frozen=True)
class Executing:
    """A runner of this test's: each attempt is a call of the function."""

    function: Callable[[Path], None]
    folder: Path

    def __call__(self, task: StepTask) -> StepOutcome:
        self.function(self.folder)
        return StepOutcome(task, ExecutionStatus.COMPLETED)


@pytest.fixture
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


def outcome_of(server: ForkServer, function: Callable[[Path], None], folder: Path) -> StepOutcome:
    pool = WorkerPool(Executing(function, folder), 1, 1.0, fork_server=server)
    try:
        pool.submit(StepTask(1, 1, "step", "key"))
        ended: list[StepOutcome] = []
        deadline = time.monotonic() + SECONDS
        while not ended and time.monotonic() < deadline:
            ended = pool.wait(1.0)
    finally:
        pool.close()
    return ended[0]


def tell(folder: Path) -> None:
    sys.stdout.write("told\n")
    seen = (os.getpid(), os.getsid(0), os.getppid(), Path.cwd(), os.environ.get("OF_THE_TEST"), sys.path[-1])
    (folder / "told").write_text(" ".join(map(str, [*seen, random.getrandbits(64)])))


def test_a_worker_has_what_its_process_has_now(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    told = []
    for number in range(2):
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        monkeypatch.setenv("OF_THE_TEST", f"value-{number}")
        monkeypatch.setattr(sys, "path", [*sys.path, f"/nowhere/{number}"])
        outcome = outcome_of(server, tell, tmp_path)
        assert outcome.status is ExecutionStatus.COMPLETED
        told.append((tmp_path / "told").read_text().split())
        pid, session, parent, folder, variable, path, _ = told[-1]
        assert pid == session
        assert int(parent) != os.getpid()
        assert (folder, variable, path) == (
            str(tmp_path / str(number)),
            f"value-{number}",
            f"/nowhere/{number}",
        )
    assert told[0][2] == told[1][2]  # of the same server
    assert told[0][0] != told[1][0]
    assert told[0][-1] != told[1][-1]  # chance is not shared
    assert capfd.readouterr().out == "told\ntold\n"


def leave(folder: Path) -> None:
    os._exit(3)


def be_killed(folder: Path) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize(("end", "told"), [(leave, "code 3"), (be_killed, "SIGKILL")])
def test_the_end_of_a_worker_is_known(
    server: ForkServer, tmp_path: Path, end: Callable[[Path], None], told: str
) -> None:
    outcome = outcome_of(server, end, tmp_path)
    assert outcome.status is ExecutionStatus.CRASHED
    assert isinstance(outcome.exception, StepCrashedError)
    assert told in str(outcome.exception)


def stay(folder: Path) -> None:
    (folder / f"{os.getpid()}.{os.getppid()}").touch()
    time.sleep(SECONDS)


def test_workers_end_with_their_server_which_is_started_again(server: ForkServer, tmp_path: Path) -> None:
    pool = WorkerPool(Executing(stay, tmp_path), 1, 1.0, fork_server=server)
    try:
        pool.submit(StepTask(1, 1, "step", "key"))
        deadline = time.monotonic() + SECONDS
        while not (found := list(tmp_path.glob("*.*"))):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        worker, parent = map(int, found[0].name.split("."))
        os.kill(parent, signal.SIGKILL)
        (outcome,) = pool.wait(SECONDS)
        assert outcome.status is ExecutionStatus.CRASHED
    finally:
        pool.close()
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == psutil.STATUS_ZOMBIE
    assert outcome_of(server, tell, tmp_path).status is ExecutionStatus.COMPLETED


def test_a_server_that_is_idle_ends_and_is_started_again(
    server: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenml.orchestrators.fork_server._IDLE", 0.2)
    assert outcome_of(server, tell, tmp_path).status is ExecutionStatus.COMPLETED
    first = psutil.Process(int((tmp_path / "told").read_text().split()[2]))
    deadline = time.monotonic() + SECONDS
    while first.is_running() and first.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert outcome_of(server, tell, tmp_path).status is ExecutionStatus.COMPLETED
    assert int((tmp_path / "told").read_text().split()[2]) != first.pid


def test_a_process_may_have_many_files_open(server: ForkServer, tmp_path: Path) -> None:
    with ExitStack() as files:
        for _ in range(1100):  # beyond what select() takes
            files.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        assert outcome_of(server, tell, tmp_path).status is ExecutionStatus.COMPLETED
