"""Processes that begin at once: forked from one that has imported everything already.

Hundreds of runs that are killed would spend nearly all of their time on importing otherwise. A process begins in a session of its own,
calls one function and ends; it is reaped when it ends, so that a dead one looks dead to whoever asks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]

READY = (
    "tests.reliability.programs",
    "zenml.engine.driver",
    "zenml.materializers.built_in_materializer",
    "zenml.metadata_stores.database",
    "zenml.pipelines.compiler",
    "zenml.post_execution",
    "zenml.testing.isolation",
    "sqlalchemy.dialects.sqlite.pysqlite",
)
"""What a run imports late."""


@dataclass(frozen=True)
class Child:
    """A forked process. `log` is the file that it prints into."""

    pid: int
    log: Path
    zygote: Zygote

    def returncode(self) -> int | None:
        """How it ended, or None while it lives."""
        return self.zygote.ask(poll=self.pid)

    def wait(self, seconds: float = 60) -> int:
        """Wait for its end; gives its exit code, negative for a signal."""
        deadline = time.monotonic() + seconds
        while (code := self.returncode()) is None:
            assert time.monotonic() < deadline, f"process {self.pid} did not end:\n{self.log.read_text()}"
            time.sleep(0.002)
        return code

    def family(self) -> list[psutil.Process]:
        """The processes that it has started, and that these have started."""
        try:
            return psutil.Process(self.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []

    def kill(self) -> None:
        """End it by SIGKILL, whatever it does, unless it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def kill_group(self) -> None:
        """The same, together with those that it has started, unless they are sessions of their own."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


class Zygote:
    """The process that others are forked from, as seen by the one that uses it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
        )

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def start(self, function: str, log: Path, **arguments: Any) -> Child:
        """Call "module:function" in a new process, with the environment and the working folder of this one."""
        pid = self.ask(
            call=function, arguments=arguments, log=str(log), env=dict(os.environ), folder=str(Path.cwd())
        )
        return Child(pid, log, self)

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@contextmanager
def zygote() -> Iterator[Zygote]:
    made = Zygote()
    try:
        yield made
    finally:
        made.close()


# In the zygote itself


def serve() -> None:
    for name in READY:
        import_module(name)
    ended: dict[int, int] = {}

    def reap(*_: object) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            ended[pid] = os.waitstatus_to_exitcode(status)

    signal.signal(signal.SIGCHLD, reap)
    for line in sys.stdin:
        question = json.loads(line)
        if "poll" in question:
            answer = ended.get(question["poll"])
        else:
            answer = os.fork()
            if not answer:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                become(question)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def become(question: dict[str, Any]) -> None:
    """Be the new process; does not return."""
    code = 1
    try:
        os.setsid()
        os.environ.clear()
        os.environ.update(question["env"])
        os.chdir(question["folder"])
        file = os.open(question["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        for stream in (1, 2):
            os.dup2(file, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        module, _, function = question["call"].partition(":")
        getattr(import_module(module), function)(**question["arguments"])
        code = 0
    except BaseException:  # noqa: BLE001 - shown by its log
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
