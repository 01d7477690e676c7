"""What tasks of a Ray cluster do, in the processes that it executes them by. Those import nothing of the user's."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenml._version import __version__
from zenml.orchestrators.attempt_host import AttemptHost

_LOOK = 0.2
"""Seconds within which an interruption is noticed."""

_IDLE = 5.0
"""Seconds after which a process without anything to do is ended: nobody tells whether its run goes on."""

_SHOWN = 50
"""How many lines of what a command prints are sent back."""

# By a run's name; at most one. Its processes end with the thread that has started them: there is one for all.
_hosts: dict[str, AttemptHost] = {}
_thread = ThreadPoolExecutor(1)

# Becomes the command, and ends with the process that it was started by.
_BOUND = """
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, 9)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


@dataclass(frozen=True)
class Kept:
    """Stands for what the cluster was given under that name."""

    name: str


def versions() -> tuple[str, str]:
    """Those of this framework and of Python; code of the one does not run on the other."""
    return __version__, "{}.{}".format(*sys.version_info)


def execute(run: str, runner: list[Any], grace: float, task: bytes, key: str) -> bytes:
    """Execute an attempt, a pickled StepTask; gives the pickled outcome. When it is interrupted, it ends the attempt."""
    host = _host(run, runner, grace)
    before = signal.signal(signal.SIGINT, lambda *_: host.cancel(key))
    try:
        ended = _thread.submit(host.execute, pickle.loads(task), key, _devices())  # noqa: S301  from the process that started the run
        while True:
            with suppress(NotYet):
                return pickle.dumps(ended.result(_LOOK))
    finally:
        signal.signal(signal.SIGINT, before)


def run_command(
    command: Sequence[str], environment: Mapping[str, str], secrets: str | None, grace: float
) -> tuple[int, list[str]]:
    """Run a command, whose first word stands for this Python; gives its exit code and the last lines that it has printed."""
    with tempfile.TemporaryDirectory(prefix="zenml-ray-") as folder:
        variables = {**os.environ, **environment}
        if secrets is not None:
            file = Path(folder) / "secrets.json"
            file.touch(mode=0o600)
            file.write_text(secrets, encoding="utf-8")
            variables["ZENML_SECRETS_FILE"] = str(file)
        log = Path(folder) / "log.txt"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", _BOUND, str(os.getpid()), *command[1:]],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                start_new_session=True,
            )
        before = signal.signal(signal.SIGINT, lambda *_: _stop(process, grace))
        try:
            while process.poll() is None:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK)
        finally:
            signal.signal(signal.SIGINT, before)
            with suppress(ProcessLookupError):  # what it has started and left behind
                os.killpg(process.pid, signal.SIGKILL)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return process.returncode, lines[-_SHOWN:]


def _host(run: str, runner: list[Any], grace: float) -> AttemptHost:
    if run not in _hosts:
        import ray

        for other in list(_hosts):
            _hosts.pop(other).close()
        packed = pickle.loads(ray.get(runner[0]))  # noqa: S301  as above
        _hosts[run] = AttemptHost(packed, grace, idle=_IDLE)
    return _hosts[run]


def _devices() -> tuple[str, ...]:
    """The devices that Ray has chosen for this task."""
    import ray

    return tuple(map(str, ray.get_gpu_ids()))


def _stop(process: subprocess.Popen[bytes], grace: float) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    limit = time.monotonic() + grace
    while process.poll() is None and time.monotonic() < limit:
        time.sleep(0.05)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
