"""A worker process: executes attempts of steps, one after another, for the process that started it."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, NoReturn

from zenml.engine.capture import own_process
from zenml.engine.errors import error_record
from zenml.engine.process_end import end_process
from zenml.engine.runner import AttemptStopped, Runner
from zenml.materializers.pickling import dumps
from zenml.model.runs import StepOutcome
from zenml.orchestrators.worker_pool import Report
from zenml.secret.known import known_values

if TYPE_CHECKING:
    from types import FrameType

    from zenml.model.runs import StepTask


def main() -> NoReturn:
    """Serve the process whose number is the second argument, by the connection of the first one, until it closes that.

    With "named" as the third one, each line that a step prints is shown behind the step's name.
    """
    connection, parent = Connection(int(sys.argv[1])), int(sys.argv[2])
    _end_with(parent)
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop)
    _leave_to_forks_their_own_end()
    with (
        own_process(prefixed=sys.argv[3] == "named"),
        contextlib.suppress(EOFError, ConnectionError, AttemptStopped),
    ):
        runner = _runner(connection)
        if runner is not None:
            connection.send(None)  # it has started
        while runner is not None:
            task: StepTask = connection.recv()
            connection.send(_report(runner, task, stop))
    end_process(0)


class _Stop:
    """SIGTERM raises `AttemptStopped` in the step that is being executed, once."""

    def __init__(self) -> None:
        self.is_armed = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.is_armed:
            self.is_armed = False
            raise AttemptStopped

    def __enter__(self) -> None:
        self.is_armed = True

    def __exit__(self, *_: object) -> None:
        self.is_armed = False


def _runner(connection: Connection) -> Runner | None:
    try:
        runner: Runner = pickle.loads(connection.recv_bytes())  # noqa: S301  from the process that started this one
    except (EOFError, ConnectionError):
        raise
    except Exception as error:  # noqa: BLE001  told to those who wait for an outcome
        connection.send(_raised(error))
        return None
    return runner


def _report(runner: Runner, task: StepTask, stop: _Stop) -> Report:
    try:
        with stop:
            outcome = runner(task)
    except AttemptStopped:
        return Report(StepOutcome.given_up(task))
    except BaseException as error:  # noqa: BLE001  what stops a process stops the run: there, not here
        return _raised(error)
    if outcome.exception is None:
        return Report(outcome)
    from dataclasses import replace

    return Report(
        replace(outcome, exception=None), outcome.error, _pickled(outcome.exception), known_values()
    )


def _raised(error: BaseException) -> Report:
    return Report(None, error_record(error), _pickled(error), known_values())


def _pickled(error: BaseException) -> bytes | None:
    """The exception, if it comes out of a pickle again."""
    try:
        content = dumps(error)
        pickle.loads(content)  # noqa: S301  made in the line above
    except Exception:  # noqa: BLE001  whatever an object of the user's raises
        return None
    return content


def _leave_to_forks_their_own_end() -> None:
    """See that SIGTERM ends what a step forks as it does elsewhere, also one that arrives at once."""

    def restore() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}),
        after_in_parent=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM}),
        after_in_child=restore,
    )


def _end_with(parent: int) -> None:
    """See that this process ends when its parent does, also while the user's code runs."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        sys.exit(1)
