"""Jobs of a step operator that only knows how to run a command to its end."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping, Sequence

from zenml.jobs import Job, JobEngine, JobState, JobStatus

Launch = Callable[[str, str, list[str], list[str]], None]


class LaunchedJobs(JobEngine):
    """Calls `launch(pipeline, run, requirements, command)` in a thread for each job.

    Such a call cannot be ended. A job that is cancelled counts as ended: its command sees by itself that the run is over.
    """

    poll_seconds = 0.05

    def __init__(self, launch: Launch) -> None:
        self._launch = launch
        self._jobs: dict[str, tuple[threading.Thread, list[BaseException]]] = {}
        self._given_up: set[str] = set()

    def submit(self, job: Job) -> str:
        """Start a thread."""
        raised: list[BaseException] = []

        def run() -> None:
            try:
                self._launch(
                    job.pipeline, job.run, list(job.requirements), [sys.executable, *job.command[1:]]
                )
            except BaseException as error:  # noqa: BLE001  it is the job's end
                raised.append(error)

        thread = threading.Thread(target=run, name=job.name, daemon=True)
        self._jobs[job.name] = thread, raised
        thread.start()
        return job.name

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """Whether the threads live."""
        return {id_: self._state(id_) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Give it up."""
        self._given_up.add(id)

    def log(self, id: str, lines: int = 20) -> list[str]:
        """None: what `launch` raises says enough."""
        return []

    def remove(self, id: str) -> None:
        """Forget it."""
        self._jobs.pop(id, None)
        self._given_up.discard(id)

    def _state(self, id_: str) -> JobStatus:
        thread, raised = self._jobs[id_]
        if thread.is_alive():
            return JobStatus(JobState.FAILED if id_ in self._given_up else JobState.RUNNING)
        thread.join()
        if raised:
            return JobStatus(JobState.FAILED, f"{type(raised[0]).__name__}: {raised[0]}")
        return JobStatus(JobState.SUCCEEDED)
