"""Jobs as processes of this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from zenml.exceptions import ZenMLBaseException
from zenml.jobs.job import SECRETS_FILE, Job, JobEngine, JobState, JobStatus

_KEPT = 20
_GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL."""

Prepare = Callable[[Job, Path], tuple[Sequence[str], Mapping[str, str]]]
"""Gives the command line of a job and its environment. The folder is the job's own: nobody else can read it, and it goes with the job."""


class ShownProcess:
    """A process in a group of its own; what it prints goes to where this process's output goes, line by line.

    `lines` are the last ones. Making one raises OSError if there is no such program.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self.lines: deque[str] = deque(maxlen=_KEPT)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env={**environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        streams = ((self._process.stdout, sys.stdout), (self._process.stderr, sys.stderr))
        self._readers = [
            threading.Thread(target=self._show, args=pair, daemon=True) for pair in streams if pair[0]
        ]
        for reader in self._readers:
            reader.start()

    def wait(self) -> int:
        """Wait for its end, and give the exit code: that of a signal is below 0."""
        code = self._process.wait()
        for reader in self._readers:
            reader.join(1)  # what it has started may live on, and hold the pipe
        return code

    def end(self) -> None:
        """Let the group end, by force after a while."""
        self.signal(signal.SIGTERM)
        by_force = threading.Timer(_GRACE, self.signal, [signal.SIGKILL])
        by_force.daemon = True
        by_force.start()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the group, if there is any of it left."""
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _show(self, source: IO[str], target: IO[str]) -> None:
        with source:
            for line in source:
                self.lines.append(line.rstrip("\n"))
                target.write(line)
                target.flush()


class ProcessJobs(JobEngine):
    """Each job is a process of this machine. As many run at once as there are cores.

    Preparing one may take long: it is done in a thread.
    """

    poll_seconds = 0.05
    shows_output = True

    def __init__(self, prepare: Prepare) -> None:
        self.max_jobs = max(2, os.cpu_count() or 1)
        self._prepare = prepare
        self._jobs: dict[str, _ProcessJob] = {}

    def submit(self, job: Job) -> str:
        """Start a thread, which starts the process."""
        self._jobs[job.name] = _ProcessJob(job, self._prepare)
        return job.name

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """What is known of the processes."""
        return {id_: self._jobs[id_].status for id_ in ids}

    def cancel(self, id: str) -> None:
        """SIGTERM to the process and those that it has started, and SIGKILL after five seconds."""
        self._jobs[id].cancel()

    def log(self, id: str, lines: int = 20) -> list[str]:
        """The last lines."""
        return self._jobs[id].lines[-lines:]

    def remove(self, id: str) -> None:
        """Forget it; the folder goes with it."""
        self._jobs.pop(id).remove()

    def close(self) -> None:
        """End what is left by force."""
        for id_ in list(self._jobs):
            self.remove(id_)


class _ProcessJob:
    def __init__(self, job: Job, prepare: Prepare) -> None:
        self.status = JobStatus(JobState.WAITING)
        self._folder = Path(tempfile.mkdtemp(prefix="zenml-job-"))
        self._process: ShownProcess | None = None
        self._is_cancelled = False
        self._changing = threading.Lock()
        threading.Thread(target=self._run, args=(job, prepare), name=job.name, daemon=True).start()

    @property
    def lines(self) -> list[str]:
        return list(self._process.lines) if self._process else []

    def cancel(self) -> None:
        with self._changing:
            self._is_cancelled = True
            if self._process:
                self._process.end()

    def remove(self) -> None:
        with self._changing:
            self._is_cancelled = True
            if self._process:
                self._process.signal(signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, job: Job, prepare: Prepare) -> None:
        try:
            command, environment = prepare(job, self._folder)
            environment = {**environment, **job.environment}
            if job.secrets is not None:
                path = self._folder / "secrets.json"
                path.touch(mode=0o600)
                path.write_text(job.secrets, encoding="utf-8")
                environment[SECRETS_FILE] = str(path)
            with self._changing:
                if self._is_cancelled:
                    self.status = JobStatus(JobState.FAILED, "it was cancelled")
                    return
                self._process = ShownProcess(command, environment)
                self.status = JobStatus(JobState.RUNNING)
            self.status = _ended(self._process.wait())
        except (OSError, ZenMLBaseException) as error:
            self.status = JobStatus(JobState.FAILED, str(error))
        except BaseException as error:
            self.status = JobStatus(JobState.FAILED, f"{type(error).__name__}: {error}")
            raise


def _ended(code: int) -> JobStatus:
    if code < 0:
        with suppress(ValueError):
            return JobStatus(JobState.FAILED, f"ended by the signal {signal.Signals(-code).name}")
    return JobStatus(JobState.FAILED if code else JobState.SUCCEEDED, f"exit code {code}")
