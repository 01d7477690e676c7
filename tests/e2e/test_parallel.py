"""Steps in worker processes: at the same time, within their resources, ended when they must be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from zenml.exceptions import RunError, StepCrashedError, StepInterfaceError, StepTimeoutError
from zenml.orchestrators import LocalOrchestrator, worker_pool
from zenml.orchestrators.worker_pool import WorkerTraceback
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import Output, step
from zenml.steps.resources import Resources

NOT_SENT = threading.Lock()
PATIENCE = 60.0


def use(**fields: Any) -> None:
    repository = Repository()
    active = repository.active_stack
    orchestrator = LocalOrchestrator(name="workers", **fields)
    repository.register_stack(
        Stack(
            "workers",
            orchestrator=orchestrator,
            metadata_store=active.metadata_store,
            artifact_store=active.artifact_store,
        )
    )
    repository.activate_stack("workers")


def wait_for(condition: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < until, "it never came"
        time.sleep(0.01)
    return found


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def noted(folder: Path, name: str) -> Iterator[None]:
    """Leave the times of a block behind, of a clock that all processes of the machine share."""
    started = time.monotonic()
    yield
    (folder / name).write_text(f"{started} {time.monotonic()}")


def most_at_once(folder: Path, pattern: str) -> int:
    intervals = [tuple(map(float, path.read_text().split())) for path in folder.glob(pattern)]
    changes = sorted([(start, 1) for start, _ in intervals] + [(end, -1) for _, end in intervals])
    present = most = 0
    for _, change in changes:
        present += change
        most = max(most, present)
    return most


def test_independent_steps_run_at_the_same_time(tmp_path: Path) -> None:
    use(max_workers=2)

    @step
    def meet(own: str, other: str, folder: str) -> int:
        (Path(folder) / own).touch()
        wait_for((Path(folder) / other).exists)
        return os.getpid()

    @step
    def compare(one: int, two: int, parent: int) -> int:
        assert len({one, two, parent}) == 3
        assert os.getpid() in (one, two), "a worker is used again"
        return one

    @pipeline
    def meeting() -> None:
        folder = str(tmp_path)
        compare(meet("a", "b", folder), meet("b", "a", folder), os.getpid())

    run = meeting().run()
    assert [str(each.status) for each in run.steps] == ["completed"] * 3
    assert wait_for(lambda: is_gone(run.get_step("compare").output.read())), "workers end with the run"
    again = meeting().run()
    assert [str(each.status) for each in again.steps] == ["cached"] * 3


def test_tokens_are_never_oversubscribed(tmp_path: Path) -> None:
    use(max_workers=3, resources={"license": 2})

    @step(resources=Resources(custom={"license": 1}))
    def licensed(number: int, folder: str) -> None:
        with noted(Path(folder), f"one-{number}"):
            time.sleep(0.02)

    @step(resources=Resources(custom={"license": 2}))
    def greedy(number: int, folder: str) -> None:
        with noted(Path(folder), f"two-{number}"):
            time.sleep(0.02)

    @step
    def free(number: int, folder: str) -> None:
        with noted(Path(folder), f"free-{number}"):
            time.sleep(0.02)

    @pipeline
    def sharing() -> None:
        for number in range(4):
            licensed(number, str(tmp_path))
            greedy(number, str(tmp_path))
            free(number, str(tmp_path))

    sharing().run()
    assert len(list(tmp_path.glob("*-?"))) == 12
    assert most_at_once(tmp_path, "*-?") <= 3
    assert most_at_once(tmp_path, "one-?") <= 2
    for other in tmp_path.glob("one-?"):
        other.rename(other.with_name(f"two-of-{other.name}"))
    for number in range(4):
        alone = tmp_path / f"two-{number}"
        for other in tmp_path.glob("two-*"):
            if other != alone:
                start, end = map(float, alone.read_text().split())
                begins, ends = map(float, other.read_text().split())
                assert ends <= start or end <= begins, "two of two licenses are all"


def test_devices_are_shared_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-6")
    use(max_workers=2)

    @step(resources=Resources(gpu=1))
    def device(own: str, other: str, folder: str) -> str:
        (Path(folder) / own).touch()
        wait_for((Path(folder) / other).exists)
        return os.environ["CUDA_VISIBLE_DEVICES"]

    @step(resources=Resources(gpu=2))
    def both(one: str, two: str) -> str:
        assert one != two
        return os.environ["CUDA_VISIBLE_DEVICES"]

    @step
    def neither(devices: str) -> str:
        return os.environ["CUDA_VISIBLE_DEVICES"]

    @pipeline
    def on_devices() -> None:
        folder = str(tmp_path)
        neither(both(device("a", "b", folder), device("b", "a", folder)))

    run = on_devices().run()
    seen = {run.get_step(name).output.read() for name in ("device", "device_2")}
    assert seen == {"4", "GPU-6"}
    assert run.get_step("both").output.read() == "4,GPU-6"
    assert run.get_step("neither").output.read() == "4,GPU-6", "who asks for none sees what the program sees"


def test_with_one_worker_only_those_that_need_it_have_a_process_of_their_own() -> None:
    @step
    def here() -> int:
        return os.getpid()

    @step(resources=Resources(cpu=0.5))
    def apart(before: int) -> int:
        return os.getpid()

    @step(timeout=60)
    def limited(before: int) -> int:
        return os.getpid()

    @step
    def last(before: int) -> Output(process=int, group=int):
        return os.getpid(), os.getpgid(0)

    @pipeline
    def mixed() -> None:
        last(limited(apart(here())))

    run = mixed().run()
    processes = [run.get_step(name).output.read() for name in ("here", "apart", "limited")]
    assert processes[0] == os.getpid() == run.get_step("last").outputs["process"].read()
    assert processes[1] == processes[2] != os.getpid()


class PlainError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code


class StubbornError(Exception):
    def __init__(self, code: int, reason: str) -> None:
        super().__init__(f"{code} for {reason}")


def test_a_failing_step_raises_its_own_exception() -> None:
    use(max_workers=2)

    @step
    def failing() -> int:
        raise PlainError(7, "no reason")

    @pipeline
    def breaking() -> None:
        failing()

    with pytest.raises(PlainError, match="no reason") as raised:
        breaking().run()
    assert raised.value.code == 7
    assert isinstance(raised.value.__cause__, WorkerTraceback)
    assert 'raise PlainError(7, "no reason")' in str(raised.value.__cause__)
    assert "engine/runner.py" not in str(raised.value.__cause__), "only the user's part of the traceback"
    (run,) = Repository().get_pipeline("breaking").runs
    assert run.get_step("failing").error.message == "(7, 'no reason')"


def test_an_exception_that_cannot_be_sent_is_told() -> None:
    use(max_workers=2)

    @step
    def failing() -> int:
        raise StubbornError(7, "no reason")

    @pipeline
    def breaking() -> None:
        failing()

    with pytest.raises(RunError, match=r"test_parallel\.StubbornError: 7 for no reason") as raised:
        breaking().run()
    assert 'raise StubbornError(7, "no reason")' in str(raised.value.__cause__)


def test_exit_in_a_worker_is_exit_of_the_run() -> None:
    use(max_workers=2)

    @step
    def leaving() -> None:
        sys.exit(5)

    @pipeline
    def quitting() -> None:
        leaving()

    with pytest.raises(SystemExit) as raised:
        quitting().run()
    assert raised.value.code == 5
    (run,) = Repository().get_pipeline("quitting").runs
    assert str(run.status) == str(run.get_step("leaving").status) == "cancelled"


def test_workers_that_die_are_replaced() -> None:
    use(max_workers=1)
    own = Resources(cpu=0.1)

    @step(resources=own)
    def leaving() -> int:
        os._exit(3)

    @step(resources=own)
    def segfault() -> int:
        os.kill(os.getpid(), signal.SIGSEGV)
        return 1

    @step(resources=own)
    def killed() -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return 1

    @step(resources=own)
    def going_on() -> int:
        return os.getpid()

    @step
    def needing(value: int) -> int:
        return value

    @pipeline
    def losing() -> None:
        needing(leaving())
        segfault()
        killed()
        going_on()

    with pytest.raises(
        StepCrashedError, match="The process of the step 'leaving' ended itself with the exit code 3"
    ):
        losing().run()
    (run,) = Repository().get_pipeline("losing").runs
    assert {each.name: str(each.status) for each in run.steps} == {
        "leaving": "crashed",
        "needing": "skipped",
        "segfault": "crashed",
        "killed": "crashed",
        "going_on": "completed",
    }
    errors = [run.get_step(name).error.message for name in ("segfault", "killed")]
    assert errors[0] == "The process of the step 'segfault' was ended by SIGSEGV (Segmentation fault)."
    assert "was ended by SIGKILL (Killed): memory may have run out." in errors[1]


def test_a_step_that_is_ended_cleans_up_behind_itself(tmp_path: Path) -> None:
    use(max_workers=1)

    @step(timeout=0.5)
    def slow(folder: str) -> None:
        try:
            time.sleep(PATIENCE)
        except Exception:  # noqa: BLE001  the end is no error to be handled
            (Path(folder) / "handled").touch()
        finally:
            (Path(folder) / "cleaned up").touch()

    @pipeline
    def waiting() -> None:
        slow(str(tmp_path))

    with pytest.raises(StepTimeoutError):
        waiting().run()
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["cleaned up"]


def test_a_step_that_does_not_want_to_end_is_killed_with_its_children(tmp_path: Path) -> None:
    use(max_workers=1, grace_seconds=0.1)

    @step(timeout=0.5)
    def stubborn(folder: str) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", str(PATIENCE)])
        (Path(folder) / "pids").write_text(f"{os.getpid()} {child.pid}")
        while True:
            time.sleep(PATIENCE)

    @pipeline
    def waiting() -> None:
        stubborn(str(tmp_path))

    with pytest.raises(StepTimeoutError, match="'stubborn' took longer than its timeout"):
        waiting().run()
    for pid in (tmp_path / "pids").read_text().split():
        assert wait_for(lambda pid=pid: is_gone(int(pid)))


def test_a_step_whose_code_cannot_be_sent_is_refused() -> None:
    use(max_workers=2)
    connection = threading.Lock()

    @step
    def talking() -> bool:
        return connection.acquire(blocking=False)

    @step
    def fine() -> bool:
        with NOT_SENT:  # a module's own things are made again where it is imported
            return True

    @pipeline
    def sending() -> None:
        fine()
        talking()

    with pytest.raises(
        StepInterfaceError,
        match=r"The step 'talking' cannot be executed in a worker process: .*cannot pickle",
    ):
        sending().run()


def test_runs_in_threads_have_workers_of_their_own() -> None:
    use(max_workers=2)

    @step(enable_cache=False)
    def work(value: int) -> int:
        return value + 1

    @pipeline(enable_cache=False)
    def chain() -> None:
        work(work(1))

    results: list[Any] = []
    instances = [chain(), chain()]
    threads = [threading.Thread(target=lambda i=i: results.append(i.run())) for i in instances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.get_step("work_2").output.read() for run in results] == [3, 3]


def test_what_steps_leave_for_the_end_of_their_process_is_done(tmp_path: Path) -> None:
    """Functions that are called at the end of a program, and threads that go on."""
    folder = str(tmp_path)

    @step
    def leave_work() -> int:
        import atexit

        def later() -> None:
            time.sleep(0.3)
            Path(folder, "thread").touch()

        threading.Thread(target=later).start()
        atexit.register(Path(folder, "registered").touch)
        return os.getpid()

    @pipeline
    def leaving_work() -> None:
        leave_work()
        leave_work(id="beside")

    use(max_workers=2)
    run = leaving_work().run()
    assert run.get_step("beside").output.read() != os.getpid()
    assert sorted(path.name for path in tmp_path.glob("*e*d")) == ["registered", "thread"]


def test_a_step_may_have_processes_of_its_own() -> None:
    use(max_workers=2)

    @step
    def multiply() -> Output(products=list, code=int):
        from multiprocessing import get_context

        context = get_context("fork")
        with context.Pool(2) as pool:
            products = pool.map(abs, [-1, -2, -3])
        process = context.Process(target=time.sleep, args=(PATIENCE,))
        process.start()
        process.terminate()
        process.join()
        return products, process.exitcode

    @pipeline
    def multiplying() -> None:
        multiply()

    found = multiplying().run().get_step("multiply").outputs
    assert (found["products"].read(), found["code"].read()) == ([1, 2, 3], -signal.SIGTERM)


def test_deaths_are_seen_where_the_system_does_not_tell_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker_pool, "_pidfd", lambda pid: None)
    use(max_workers=2)

    @step
    def leaving_a_child_behind() -> None:
        if os.fork():
            os._exit(4)
        time.sleep(PATIENCE)  # it holds the connection

    @step
    def going_on() -> int:
        return 1

    @pipeline
    def losing() -> None:
        leaving_a_child_behind()
        going_on()

    with pytest.raises(StepCrashedError, match="ended itself with the exit code 4"):
        losing().run()
    (run,) = Repository().get_pipeline("losing").runs
    assert str(run.get_step("going_on").status) == "completed"


def test_a_step_in_a_worker_starts_no_pipeline() -> None:
    use(max_workers=2)

    @step
    def one() -> int:
        return 1

    @pipeline
    def inner() -> None:
        one()

    @step
    def starting() -> None:
        inner().run()

    @pipeline
    def outer() -> None:
        starting()

    with pytest.raises(RunError, match="The step 'starting' cannot run the pipeline 'inner'"):
        outer().run()


PROGRAM = """
import os, subprocess, sys, time
from pathlib import Path
from zenml.orchestrators import LocalOrchestrator, worker_pool
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import step

@step
def last(number: int) -> None:
    child = subprocess.Popen(["sleep", "600"])
    try:
        Path(f"pids-{number}.part").write_text(f"{os.getpid()} {child.pid}")
        Path(f"pids-{number}.part").rename(f"pids-{number}")
        while True:
            time.sleep(0.1)
    finally:
        Path(f"cleaned-{number}").touch()

@pipeline
def lasting():
    last(1)
    last(2)

if __name__ == "__main__":
    repository = Repository()
    active = repository.active_stack
    repository.register_stack(Stack(
        "two", orchestrator=LocalOrchestrator(name="two", max_workers=2),
        metadata_store=active.metadata_store, artifact_store=active.artifact_store,
    ))
    repository.activate_stack("two")
    lasting().run()
"""


@contextmanager
def lasting_program() -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """A program in the middle of two steps, and the processes of its workers and of what these have started."""
    Path("lasting.py").write_text(PROGRAM)
    program = subprocess.Popen(
        [sys.executable, "lasting.py"], start_new_session=True, stderr=subprocess.PIPE, text=True
    )
    pids: list[int] = []
    try:
        wait_for(lambda: all(Path(f"pids-{n}").exists() for n in (1, 2)) or program.poll() is not None)
        for number in (1, 2):
            pids += map(int, Path(f"pids-{number}").read_text().split())
        yield program, pids
    finally:
        program.kill()
        program.communicate()
        for pid in pids:
            if not is_gone(pid):
                os.kill(pid, signal.SIGKILL)


def test_nothing_outlives_the_program() -> None:
    with lasting_program() as (program, pids):
        before = psutil.Process(program.pid).children(recursive=True)
        program.kill()
        program.wait()
        for pid in {*pids, *(process.pid for process in before)}:
            assert wait_for(lambda pid=pid: is_gone(pid))


def test_interrupts_of_the_terminal_reach_the_program_which_ends_its_steps() -> None:
    with lasting_program() as (program, pids):
        os.killpg(program.pid, signal.SIGINT)
        program.wait(PATIENCE)
        assert all(Path(f"cleaned-{number}").exists() for number in (1, 2))
        assert all(wait_for(lambda pid=pid: is_gone(pid)) for pid in pids)
