"""The process behind `zenml.orchestrators.fork_server`: forks workers when it is asked to."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import NoReturn

import zenml.engine.worker
import zenml.metadata_stores.sql_metadata_store  # what each worker imports, besides the above
from zenml.orchestrators.fork_server import Start


def main() -> None:
    """Serve the socket of the first argument until nobody holds its other end, or nothing was to do for the seconds of the second one."""
    asked = socket.socket(fileno=int(sys.argv[1]))
    requests = Connection(os.dup(asked.fileno()))
    while _is_asked(asked, float(sys.argv[2])):
        data, descriptors, _, _ = socket.recv_fds(asked, 1, 3)
        if not data:
            break
        request = requests.recv()
        answer: int | OSError
        try:
            if isinstance(request, Start):
                answer = _fork(request, descriptors, (asked, requests))
            else:
                answer = os.waitstatus_to_exitcode(os.waitpid(request, 0)[1])
        except OSError as error:
            answer = error
        for descriptor in descriptors:
            os.close(descriptor)
        requests.send(answer)
    os._exit(0)  # the system ends the workers that are left


def _is_asked(asked: socket.socket, patience: float) -> bool:
    """Wait for a request; false when none came for long, and no worker lives."""
    while not wait([asked], patience):
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return False
    return True


def _fork(request: Start, descriptors: Sequence[int], own: Sequence[socket.socket | Connection]) -> int:
    """The number of a new process, when it is the leader of its session."""
    parent = os.getpid()
    ready, readied = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.setsid()
            os.close(ready)
            os.close(readied)
            for one in own:
                one.close()
            _become_worker(request, descriptors, parent)
        except BaseException:  # noqa: BLE001  nothing above this line is the worker's
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    os.close(readied)
    os.read(ready, 1)
    os.close(ready)
    return pid


def _become_worker(request: Start, descriptors: Sequence[int], parent: int) -> NoReturn:
    connection, *streams = descriptors
    for descriptor, stream in zip(streams, (1, 2), strict=True):
        os.dup2(descriptor, stream)
        os.close(descriptor)
    if request.folder is not None:
        with suppress(OSError):
            os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.path[:] = request.path
    sys.argv[:] = ["-c", str(connection), str(parent), request.name]
    zenml.engine.worker.main()
