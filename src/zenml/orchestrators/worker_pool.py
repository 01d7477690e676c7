"""Processes of this machine that execute attempts of steps, as the parent sees them. What they do is `zenml.engine.worker`."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, Pipe, wait
from typing import TYPE_CHECKING, NamedTuple

from zenml.exceptions import RunError
from zenml.model.runs import ErrorRecord, StepOutcome
from zenml.orchestrators.worker_output import WorkerOutput
from zenml.secret.known import remember

if TYPE_CHECKING:
    from zenml.model.runs import StepTask
    from zenml.orchestrators.base_orchestrator import StepRunner
    from zenml.orchestrators.fork_server import ForkedProcess, ForkServer

_PATIENCE = 1.0
"""Seconds between two looks at whether a process lives, where the system cannot tell that by itself."""

# Imports are looked for where this process looks for them, from the first one on.
_WORKER = "import sys; sys.path[:] = sys.argv[4:]; from zenml.engine.worker import main; main()"

# Ends the process groups of workers when this process has died, however it died: they may have children of their own, and be in the
# middle of a step. A line names a group, a second one takes it back.
_GUARD = """
import os, sys
groups = set()
for line in sys.stdin:
    groups ^= {int(line)}
for group in groups:
    try:
        os.killpg(group, 9)
    except OSError:
        pass
"""


class Report(NamedTuple):
    """What a worker says of an attempt.

    `exception` is the pickled exception of a step that failed, where it can be had so, and `error` its record. Without an outcome,
    the worker raises it: whatever is to end the run. `secrets` are the values that the exception may hold, for who shows it.
    """

    outcome: StepOutcome | None
    error: ErrorRecord | None = None
    exception: bytes | None = None
    secrets: frozenset[str] = frozenset()


class WorkerTraceback(Exception):
    """The traceback of an exception that was raised in a worker process: its cause here."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


class WorkerPool:
    """Starts processes when they are needed, at most `size`, and uses them again; `restore` makes exceptions of what they report.

    Each is a session of its own, so that a key pressed in the terminal reaches this process only, and ends together with the processes
    that its steps have started. One that an attempt was ended in is not used again. A `fork_server` starts them sooner.
    """

    def __init__(
        self,
        run_step: StepRunner,
        size: int,
        grace: float,
        *,
        restore: Callable[[Report], BaseException] | None = None,
        fork_server: ForkServer | None = None,
    ) -> None:
        self._run_step = run_step
        self._restore = restore or restored
        self._fork_server = fork_server
        self._size = size
        self._grace = grace
        self._content = b""
        self._output: WorkerOutput | None = None
        self._guard: subprocess.Popen[str] | None = None
        self._workers: list[_Worker] = []
        self._ended: list[StepOutcome] = []

    @property
    def busy(self) -> int:
        """How many attempts are under way."""
        return sum(worker.task is not None for worker in self._workers)

    def submit(self, task: StepTask, devices: tuple[str, ...] = (), *, when_ready: bool = False) -> None:
        """Have an attempt executed, by a process that sees these devices only, if any are named.

        With `when_ready`, this waits until the process has started: it then executes the attempt from now on.
        """
        for worker in [worker for worker in self._workers if worker.has_died()]:
            self._end(worker)
        idle = [worker for worker in self._workers if worker.task is None]
        fitting = [worker for worker in idle if worker.devices == devices]
        if not fitting and len(self._workers) >= self._size:
            self._end(idle[0])  # libraries keep the devices that they have found first
        worker = fitting[0] if fitting else self._start(devices)
        if when_ready:
            worker.await_start()
        worker.submit(task)

    def cancel(self, task: StepTask) -> None:
        """Have the code of an attempt ended by an exception, or, when the grace is over, its process."""
        for worker in self._workers:
            if worker.task is not None and worker.task.step_run_id == task.step_run_id:
                worker.stop(self._grace)

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """The attempts that have ended: at least one, unless `timeout` runs out or none is under way.

        Raises:
            BaseException: what a worker raised that ends the run. Its attempt is among those of the next call.
        """
        limit = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._ended and self.busy:
            busy = [worker for worker in self._workers if worker.task is not None]
            due = min([limit, *(worker.patience() for worker in busy)])
            signs = [sign for worker in busy for sign in worker.signs]
            ready = wait(signs, None if due == float("inf") else max(0.0, due - time.monotonic()))
            for worker in busy:
                if worker.has_ended(ready):
                    self._settle(worker)
                elif worker.deadline <= time.monotonic():
                    worker.kill()
            if time.monotonic() >= limit:
                break
        ended, self._ended = self._ended, []
        return ended

    def close(self) -> None:
        """End every process: those that execute a step as `cancel` does, the others when they have cleaned up behind themselves."""
        limit = time.monotonic() + self._grace
        try:
            for worker in self._workers:
                worker.dismiss(self._grace)
            for worker in self._workers:
                worker.join(limit - time.monotonic())
        finally:
            for worker in list(self._workers):
                self._end(worker)
            if self._output is not None:
                self._output.close()
            if self._guard is not None and self._guard.stdin is not None:
                with suppress(BrokenPipeError):
                    self._guard.stdin.close()
                self._guard.wait()

    def _start(self, devices: tuple[str, ...]) -> _Worker:
        if self._guard is None:
            self._content = pickle.dumps(self._run_step)
            self._output = WorkerOutput()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _GUARD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                text=True,
            )
        assert self._output is not None  # noqa: S101  made together with the guard
        worker = _Worker(
            self._content, devices, self._output, "named" if self._size > 1 else "", self._fork_server
        )
        self._workers.append(worker)
        self._tell_guard(worker)
        return worker

    def _end(self, worker: _Worker) -> None:
        worker.kill()
        worker.free()
        self._workers.remove(worker)
        self._tell_guard(worker)

    def _tell_guard(self, worker: _Worker) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            with suppress(BrokenPipeError):  # whoever ended it; the workers go on
                self._guard.stdin.write(f"{worker.process.pid}\n")
                self._guard.stdin.flush()

    def _settle(self, worker: _Worker) -> None:
        task, was_stopped = worker.task, worker.was_stopped
        assert task is not None  # noqa: S101  asked by the caller
        report = worker.report()
        worker.task = None
        if report is None and not was_stopped:
            worker.join(_PATIENCE)  # so that it is its own end that is told
        if report is None or was_stopped:
            self._end(worker)
        if report is None:
            self._ended.append(_without_report(task, worker.process.wait(), was_stopped=was_stopped))
        elif report.outcome is None:
            self._ended.append(StepOutcome.given_up(task))
            raise self._restore(report)
        else:
            exception = None if report.error is None else self._restore(report)
            self._ended.append(replace(report.outcome, task=task, exception=exception))


class _Worker:
    """One process. It is at work as long as `task` is set."""

    def __init__(
        self,
        content: bytes,
        devices: tuple[str, ...],
        output: WorkerOutput,
        name: str,
        fork_server: ForkServer | None,
    ) -> None:
        self.task: StepTask | None = None
        self.devices = devices
        self.deadline = float("inf")
        self._has_started = False
        self._is_over = False
        self._report: Report | None = None
        self.connection, other = Pipe()
        environment = {**os.environ, **({"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {})}
        self.process: subprocess.Popen[bytes] | ForkedProcess
        with other:
            if fork_server is None:
                self.process = _started(other.fileno(), output, name, environment)
            else:
                self.process = fork_server.start(
                    other.fileno(), output.stdout, output.stderr, name, environment
                )
        self._pidfd = _pidfd(self.process.pid)
        with suppress(ConnectionError):  # it has died already; that is seen when its outcome is waited for
            self.connection.send_bytes(content)

    @property
    def signs(self) -> list[Connection | int]:
        """What becomes readable when there is something to be seen."""
        return [self.connection] if self._pidfd is None else [self.connection, self._pidfd]

    @property
    def was_stopped(self) -> bool:
        """Whether the attempt was cancelled."""
        return self.deadline < float("inf")

    def patience(self) -> float:
        """When to look after it, at the latest."""
        return self.deadline if self._pidfd is not None else min(self.deadline, time.monotonic() + _PATIENCE)

    def submit(self, task: StepTask) -> None:
        """Hand an attempt over."""
        self.task = task
        with suppress(ConnectionError):
            self.connection.send(task)

    def has_died(self) -> bool:
        """Whether its process has, without anything to do."""
        return self.task is None and self._is_dead()

    def await_start(self) -> None:
        """Wait until it can execute something, or has failed to."""
        while not self._has_started and not self.has_ended(wait(self.signs, _PATIENCE)):
            pass

    def has_ended(self, ready: Sequence[object]) -> bool:
        """Whether its attempt has, or the whole process, which children that hold the connection may hide."""
        if self.connection in ready:
            self._is_over = self._is_over or not self._listen()
        elif self._is_dead():
            self._is_over = True
        return self._is_over

    def report(self) -> Report | None:
        """What it has said of its attempt; None if it has died."""
        while self._report is None and self._listen():
            pass
        report, self._report, self._is_over = self._report, None, False
        return report

    def _is_dead(self) -> bool:
        # The number of a process that is not waited for yet is nobody else's: its group can be ended.
        return self.process.poll() is not None if self._pidfd is None else bool(wait([self._pidfd], 0))

    def _listen(self) -> bool:
        """Whether there is more to come after what it says now, if anything."""
        try:
            if self.connection.poll():
                self._report = self.connection.recv()
                self._has_started = True  # which is the first that it says
                return self._report is None
        except (EOFError, ConnectionError):
            pass
        return False

    def stop(self, grace: float) -> None:
        """Ask for the end of the attempt; the process is killed when the grace, in seconds, is over."""
        if not self.was_stopped:
            self.deadline = time.monotonic() + grace
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGTERM)

    def dismiss(self, grace: float) -> None:
        """Ask for the end of the process, when what it does is stopped."""
        if self.task is not None:
            self.stop(grace)
        self.connection.close()

    def join(self, timeout: float) -> None:
        """Wait for the end of the process."""
        if self._pidfd is not None:
            wait([self._pidfd], max(0.0, timeout))
        else:
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(max(0.0, timeout))

    def kill(self) -> None:
        """End the process and those that it has started, at once."""
        with suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def free(self) -> None:
        """Let go of what is held for a process that was killed."""
        self.process.wait()
        self.connection.close()
        if self._pidfd is not None:
            os.close(self._pidfd)


def own_interpreter() -> list[str]:
    """The command of a Python like this one, with the same flags."""
    return [sys.executable, *subprocess._args_from_interpreter_flags()]  # type: ignore[attr-defined]  # noqa: SLF001  as multiprocessing does


def _started(
    connection: int, output: WorkerOutput, name: str, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [
            *own_interpreter(),
            *("-c", _WORKER, str(connection), str(os.getpid()), name, *sys.path),
        ],
        stdin=subprocess.DEVNULL,
        stdout=output.stdout,
        stderr=output.stderr,
        env=environment,
        pass_fds=[connection],
        start_new_session=True,
    )


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # Linux 5.3
        return None


def _without_report(task: StepTask, code: int, *, was_stopped: bool) -> StepOutcome:
    if was_stopped:
        return StepOutcome.given_up(task)
    return StepOutcome.crashed(task, f"The process of the step '{task.label}' {_death(code)}")


def _death(code: int) -> str:
    if code >= 0:
        return f"ended itself with the exit code {code}, instead of returning or raising an exception."
    try:
        name = f"{signal.Signals(-code).name} ({signal.strsignal(-code)})"
    except ValueError:
        name = f"signal {-code}"
    if -code == signal.SIGKILL:
        return (
            f"was ended by {name}: memory may have run out. Let fewer steps run at once, or say with "
            "`resources=Resources(memory=...)` how much each needs."
        )
    return f"was ended by {name}."


def restored(report: Report) -> BaseException:
    """The exception that a worker has told of, as good as it can be had here."""
    assert report.error is not None  # noqa: S101  it comes with every exception
    record = report.error
    remember(report.secrets)
    try:
        error: BaseException = pickle.loads(report.exception or b"")  # noqa: S301  from a process that this one started
    except Exception:  # noqa: BLE001  whatever a class of the user's raises
        error = RunError(f"{record.type}: {record.message}")
    if record.traceback:
        error.__cause__ = WorkerTraceback(record.traceback)
    return error
