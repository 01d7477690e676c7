"""The process that is connected to a Ray cluster; `zenml.integrations.ray.driver` is its other side."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayTaskError, RuntimeEnvSetupError, TaskCancelledError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from zenml.integrations.ray import tasks
from zenml.integrations.ray.tasks import Kept

if TYPE_CHECKING:
    from concurrent.futures import Future

_ATTEMPTS = 3
"""How often a cluster is asked to take this process, if the other side waits for that long: to be turned away takes 30 to 75 seconds."""

_LOOK = 1.0
"""Seconds between two looks at the cluster."""


def main() -> None:
    """Serve the connection that the first argument names, until it is closed."""
    connection = Connection(int(sys.argv[1]))
    _end_with_parent()
    address, options = connection.recv()
    try:
        _join(address, options)
        _Driver(connection).serve()
    except Exception as error:  # noqa: BLE001  whatever it is, the other side says it
        with suppress(OSError):
            connection.send(("failed", f"{type(error).__name__}: {error}"))
    finally:
        ray.shutdown()


def _join(address: str | None, options: dict[str, Any]) -> None:
    """Join the cluster.

    For each client, the head forks a process off one with threads of gRPC's, and now and then that crashes before it lives
    (https://github.com/ray-project/ray/issues/63202): so a client that the head has turned away, or lost, asks again.
    """
    for attempts_left in reversed(range(_ATTEMPTS)):
        try:
            ray.init(
                address=address or "local",
                configure_logging=False,
                logging_level=logging.ERROR,
                log_to_driver=False,
                **options,
            )
        except ConnectionError:
            if not attempts_left:
                raise
        else:
            return


class _Driver:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._kept: dict[str, Any] = {}
        self._started: dict[str, Any] = {}
        self._ended: SimpleQueue[tuple[str, Future[Any]]] = SimpleQueue()
        self._functions = {
            name: ray.remote(getattr(tasks, name)) for name in ("execute", "run_command", "versions")
        }

    def serve(self) -> None:
        """Do what is asked for."""
        for work in (self._tell_ended, self._tell_nodes):
            threading.Thread(target=work, daemon=True).start()
        with suppress(EOFError, ConnectionError):
            while True:
                name, *arguments = self._connection.recv()
                getattr(self, name)(*arguments)

    def keep(self, name: str, value: bytes) -> None:
        self._kept[name] = ray.put(value)

    def forget(self, name: str) -> None:
        self._kept.pop(name, None)

    def start(self, key: str, function: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> None:
        # In a list, so that Ray hands on the reference: its value is needed once in a process, and not for each task.
        if node := options.pop("node", None):
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
        given = [[self._kept[one.name]] if isinstance(one, Kept) else one for one in arguments]
        reference = self._started[key] = self._functions[function].options(**options).remote(*given)
        reference.future().add_done_callback(lambda future: self._ended.put((key, future)))

    def cancel(self, key: str, force: bool) -> None:
        if key in self._started:
            ray.cancel(self._started[key], force=force)

    def _tell_ended(self) -> None:
        while True:
            ended = [self._ended.get()]
            with suppress(Empty):
                while True:
                    ended.append(self._ended.get_nowait())
            for key, _ in ended:
                self._started.pop(key, None)
            self._send("ended", [(key, *_result(future)) for key, future in ended])

    def _tell_nodes(self) -> None:
        while True:
            nodes = [
                (node["NodeID"], node["NodeManagerAddress"], node["Resources"])
                for node in ray.nodes()
                if node["Alive"]
            ]
            self._send("nodes", nodes)
            time.sleep(_LOOK)

    def _send(self, kind: str, content: Any) -> None:
        with self._sending, suppress(OSError):  # the other side has ended
            self._connection.send((kind, content))


def _result(future: Future[Any]) -> tuple[Any, str, str]:
    error = future.exception()
    if error is None:
        return future.result(), "", ""
    if isinstance(error, TaskCancelledError):
        return None, "cancelled", ""
    if isinstance(error, RayTaskError):
        return None, "failed", f"{type(error.cause).__name__}: {error.cause}"
    if isinstance(error, RuntimeEnvSetupError):
        return None, "unprepared", str(error)
    return None, "lost", f"{type(error).__name__}: {error}"


def _end_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
