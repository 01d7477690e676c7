"""A process that is connected to a Ray cluster, and what it does for this one.

Ray ends a process whose cluster is gone, keeps one that looks for a cluster waiting for minutes, takes its signals, and lets it know one
cluster at a time. Whoever runs a pipeline shall not have to live with that.
"""

from __future__ import annotations

import atexit
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zenml.exceptions import MissingPackageError, RunError, StackValidationError, sentence
from zenml.integrations.ray.place import clear_place, new_place

CONNECT = 120.0
"""Seconds within which a process is connected, or a cluster started, and for which one that is busy may say nothing."""

_ANSWER = 10.0
"""Seconds within which a cluster's machine takes a connection."""

_SILENT = 15.0
"""Seconds after which a cluster that says nothing has to take a connection. It is asked for its nodes once a second."""

_KEPT = 60.0
"""Seconds for which a connection is kept for the next run."""

_END = 10.0
"""Seconds within which a process disconnects, and ends the cluster that it has started."""

_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; from zenml.integrations.ray.driver_process import main; main()"
)


class ClusterGoneError(RunError):
    """The cluster does not answer any more: what its tasks do is unknown."""


@dataclass(frozen=True)
class Node:
    """A machine of a cluster, with all that it has, as Ray counts it: "CPU", "memory" (bytes), "GPU" and names of the user's."""

    id: str
    address: str
    resources: Mapping[str, float]


@dataclass(frozen=True)
class Ended:
    """A task that has: with a value, or a kind of error and what is known of it.

    Kinds are "cancelled", "lost" (with its node or process), "failed" (it raised) and "unprepared" (its requirements are not installed).
    """

    key: str
    value: Any = None
    error: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Target:
    """What a process connects to: a cluster, or none, and then it starts one for itself.

    `options` go to `ray.init`; `token` is the file with the word that the cluster wants to hear, where it is not the user's own one.
    """

    address: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    token: str | None = None


class Driver:
    """Gives tasks to a cluster. Used by one thread at a time.

    Raises:
        StackValidationError: the cluster does not answer, or refuses this process.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.nodes: Sequence[Node] = ()
        self.known: set[str] = set()
        """The nodes, by id, of which it is known that they understand this process."""
        self._folder = None if target.address else new_place()
        token = target.token or (new_token(Path(self._folder)) if self._folder is not None else None)
        self._ended: list[Ended] = []
        self._heard = self._seen = time.monotonic()
        self._connection, other = Pipe()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(other.fileno()), *sys.path],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **settings(token)},
                pass_fds=[other.fileno()],
                start_new_session=True,
            )
        try:
            self._connect()
        except BaseException:
            self.close()
            raise

    @property
    def is_usable(self) -> bool:
        """Whether it was connected a moment ago."""
        with suppress(ClusterGoneError):
            self._receive(0)
            return self._process.poll() is None
        return False

    def start(self, key: str, function: str, arguments: Sequence[Any], options: Mapping[str, Any]) -> None:
        """Have a function of `zenml.integrations.ray.tasks` called by a task with these options of Ray's.

        Raises:
            ClusterGoneError: there is no connection any more.
        """
        self._send("start", key, function, tuple(arguments), dict(options))

    def keep(self, name: str, value: bytes) -> None:
        """Give the cluster something large; the argument `Kept(name)` of tasks stands for it."""
        self._send("keep", name, value)

    def forget(self, name: str) -> None:
        """Take it back."""
        with suppress(ClusterGoneError):
            self._send("forget", name)

    def cancel(self, key: str, *, force: bool = False) -> None:
        """Interrupt a task; with `force`, end the process that executes it."""
        with suppress(ClusterGoneError):  # seen when tasks are waited for
            self._send("cancel", key, force)

    def wait(self, timeout: float) -> list[Ended]:
        """The tasks that have ended since the last call: at least one, unless `timeout` (seconds) runs out.

        Raises:
            ClusterGoneError: nothing more will come.
        """
        limit = time.monotonic() + timeout
        while True:
            self._receive(max(0.0, min(limit - time.monotonic(), 1.0)) if not self._ended else 0)
            if self._ended or time.monotonic() >= limit:
                ended, self._ended = self._ended, []
                return ended

    def close(self) -> None:
        """Disconnect, which ends the tasks that are left, and the cluster if this has started it."""
        self._connection.close()
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()  # and the system ends what it has started
            self._process.wait()
        if self._folder is not None:
            clear_place(self._folder)

    def _connect(self) -> None:
        options = dict(self.target.options)
        if self._folder is not None:
            options["_temp_dir"] = self._folder
        limit = time.monotonic() + CONNECT
        try:
            self._connection.send((self.target.address, options))
            while not self.nodes:
                if time.monotonic() > limit:
                    raise StackValidationError(
                        f"{self._cluster()} did not answer within {CONNECT:g} seconds."
                    )
                self._receive(1.0)
        except (ClusterGoneError, ConnectionError) as error:
            raise StackValidationError(f"{self._cluster()} cannot be used: {error}") from None

    def _send(self, *message: Any) -> None:
        try:
            self._connection.send(message)
        except OSError:
            raise self._gone("its connection was ended") from None

    def _receive(self, timeout: float) -> None:
        """Take what has come; wait for it if nothing has."""
        try:
            if not wait([self._connection], timeout):
                self._see_cluster()
                return
            while self._connection.poll():
                kind, content = self._connection.recv()
                self._heard = time.monotonic()
                if kind == "ended":
                    self._ended += [Ended(*one) for one in content]
                elif kind == "nodes":
                    self.nodes = [Node(*one) for one in content]
                else:
                    raise ClusterGoneError(content)
        except (EOFError, OSError):
            raise self._gone("its connection was ended") from None

    def _see_cluster(self) -> None:
        """See that a silent cluster is busy, and not gone. One that is started for a run ends together with the process beside this one."""
        now = time.monotonic()
        if now - self._heard > CONNECT:
            raise self._gone("it does not answer")
        if self.nodes and self.target.address and now - max(self._heard, self._seen) > _SILENT:
            try:
                _see(self.target.address)
            except StackValidationError:
                raise self._gone("it does not answer") from None
            self._seen = time.monotonic()

    def _gone(self, reason: str) -> ClusterGoneError:
        return ClusterGoneError(f"{self._cluster()} is gone: {reason}.")

    def _cluster(self) -> str:
        return (
            f"The Ray cluster {self.target.address}" if self.target.address else "The Ray cluster of the run"
        )


_kept: dict[str, tuple[Driver, threading.Timer]] = {}
_lock = threading.Lock()


def take(target: Target) -> Driver:
    """A connection for nobody else, perhaps one that was given back a moment ago.

    Raises:
        StackValidationError: the cluster does not answer.
        MissingPackageError: Ray is not installed.
    """
    if find_spec("ray") is None:
        raise MissingPackageError("Ray is not installed: run `pip install 'ray>=2.50'`.")
    if target.address is not None:
        _see(target.address)
    with _lock:
        driver, timer = _kept.pop(target.address or "", (None, None))
    if timer is not None:
        timer.cancel()
    if driver is not None:
        if driver.is_usable and not target.options:
            return driver
        driver.close()
    return Driver(target)


def give_back(driver: Driver) -> None:
    """Keep a connection, without tasks, for the next run; one that has been made for one run alone is closed."""
    if driver.target.address is None or driver.target.options or not driver.is_usable:
        driver.close()
        return
    address = driver.target.address
    timer = threading.Timer(_KEPT, _let_go, (address, driver))
    timer.daemon = True
    with _lock:
        earlier, _ = _kept.pop(address, (None, None))
        _kept[address] = driver, timer
    timer.start()
    if earlier is not None:
        earlier.close()


def close_kept() -> None:
    """Close what is kept."""
    with _lock:
        kept = list(_kept.values())
        _kept.clear()
    for driver, timer in kept:
        timer.cancel()
        driver.close()


atexit.register(close_kept)


def _let_go(address: str, driver: Driver) -> None:
    with _lock:
        if _kept.get(address, (None, None))[0] is not driver:
            return
        del _kept[address]
    driver.close()


def settings(token: str | None) -> dict[str, str]:
    """Variables for a process that uses Ray, or starts a cluster; with the file of a token, that takes commands from who has it alone."""
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": f"{CONNECT:g}"}
    return {**quiet, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": token} if token is not None else quiet


def new_token(folder: Path) -> str:
    """A file with a token, for a cluster of this user's."""
    path = folder / "token"
    path.touch(mode=0o600)
    path.write_text(secrets.token_hex(32), encoding="utf-8")
    return str(path)


def _see(address: str) -> None:
    """See that somebody is there: Ray would look for minutes."""
    parts = urlsplit(address if "://" in address else f"//{address}")
    try:
        socket.create_connection((parts.hostname or "", parts.port or 0), _ANSWER).close()
    except OSError as error:
        raise StackValidationError(
            f"The Ray cluster {address} does not answer: {sentence(error.strerror or error)} Is it running, and can this machine reach it?"
        ) from None
