"""A process that has imported what workers need, and starts them by forking: in a hundredth of the time that their imports take.

It is for processes that an engine keeps from run to run. It imports nothing of the user's, has one thread, no connection, and no file open:
a worker that it starts is as new as any other. What it does is `zenml.engine.forking`.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import NamedTuple

from zenml.orchestrators.worker_pool import own_interpreter

_PROGRAM = "import sys; sys.path[:] = sys.argv[3:]; from zenml.engine.forking import main; main()"

_IDLE = 60.0
"""Seconds after the last request until it ends, if none of its workers lives."""

_LOST = -signal.SIGKILL


class Start(NamedTuple):
    """The request for a worker that calls itself so, if anything; the number of one is the question how it has ended."""

    name: str
    path: list[str]
    environment: dict[str, str]
    folder: str | None


class ForkServer:
    """Started when it is needed first, and again when it has ended: it ends with this process, and by itself when it is idle for long."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None

    @staticmethod
    def is_possible() -> bool:
        """Whether the system has what it takes."""
        return sys.platform == "linux" and hasattr(os, "pidfd_open")

    def start(
        self, connection: int, stdout: int, stderr: int, name: str, environment: Mapping[str, str]
    ) -> ForkedProcess:
        """A worker with these descriptors and these variables, in a session of its own.

        Raises:
            OSError: the process cannot be started.
        """
        request = Start(name, list(sys.path), dict(environment), _folder())
        with self._lock:
            try:
                answer = self._ask(request, connection, stdout, stderr)
            except (OSError, EOFError):  # it has ended since it was asked last
                self._end()
                answer = self._ask(request, connection, stdout, stderr)
        if isinstance(answer, OSError):
            raise answer
        return ForkedProcess(self, answer)

    def returncode(self, pid: int) -> int:
        """How a worker, which has ended, did."""
        with self._lock:
            if self._socket is None:  # it was ended, and its workers with it
                return _LOST
            try:
                answer = self._ask(pid)
            except (OSError, EOFError):  # it has died, which ends them, too
                self._end()
                return _LOST
        return _LOST if isinstance(answer, OSError) else answer

    def close(self) -> None:
        """End it, and what it has started."""
        with self._lock:
            self._end()

    def _ask(self, request: Start | int, *descriptors: int) -> int | OSError:
        if self._socket is None:
            self._begin()
        assert self._socket is not None  # noqa: S101  begun above
        socket.send_fds(self._socket, [b"+"], descriptors)
        with Connection(os.dup(self._socket.fileno())) as connection:
            connection.send(request)
            answer: int | OSError = connection.recv()
        return answer

    def _begin(self) -> None:
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [
                    *own_interpreter(),
                    *("-c", _PROGRAM, str(other.fileno()), str(_IDLE), *sys.path),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[other.fileno()],
                start_new_session=True,
            )

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class ForkedProcess:
    """A worker: what is used here of `subprocess.Popen`."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server
        self._pidfd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """The exit code, when it has ended."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; gives the exit code. Raises TimeoutExpired."""
        if self.returncode is None:
            if not wait([self._pidfd], timeout):
                raise subprocess.TimeoutExpired("worker", timeout or 0.0)
            self.returncode = self._server.returncode(self.pid)
            os.close(self._pidfd)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal. Raises ProcessLookupError if it has ended."""
        if self.returncode is None:
            signal.pidfd_send_signal(self._pidfd, number)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109  of which nothing else is wanted
    except OSError:  # it was removed
        return None
