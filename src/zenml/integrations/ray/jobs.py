"""Commands as tasks of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zenml.integrations.ray.cluster import task_options
from zenml.integrations.ray.driver import ClusterGoneError, give_back
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus

if TYPE_CHECKING:
    from zenml.integrations.ray.cluster import RayCluster
    from zenml.integrations.ray.driver import Driver, Ended


class RayJobs(JobEngine):
    """Runs each command by a task, which begins again on another node when its own one is lost.

    The first job connects to the cluster: its requirements are those of all.
    """

    poll_seconds = 0.1

    def __init__(self, cluster: RayCluster) -> None:
        self._cluster = cluster
        self._driver: Driver | None = None
        self._open: set[str] = set()
        self._ended: dict[str, Ended] = {}

    def submit(self, job: Job) -> str:
        """Give Ray a task."""
        if self._driver is None:
            self._driver = self._cluster.connect(job.requirements)
        arguments = (job.command, dict(job.environment), job.secrets, self._cluster.grace_seconds)
        options = {**task_options(job.resources), "name": job.step or job.name}
        try:
            self._driver.start(job.name, "run_command", arguments, options)
        except ClusterGoneError as error:
            raise EngineUnreachableError(str(error)) from error
        self._open.add(job.name)
        return job.name

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """How the tasks are. Ray does not say whether one has begun: those that have not ended count as running."""
        if self._driver is not None:
            try:
                for ended in self._driver.wait(0):
                    self._ended[ended.key] = ended
                    self._open.discard(ended.key)
            except ClusterGoneError as error:
                raise EngineUnreachableError(str(error)) from error
        return {id_: self._status(id_) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Interrupt the task, which ends its command."""
        if self._driver is not None and id in self._open:
            self._driver.cancel(id)

    def log(self, id: str, lines: int = 20) -> list[str]:
        """The last lines of a command that has ended."""
        ended = self._ended.get(id)
        return ended.value[1][-lines:] if ended is not None and not ended.error else []

    def remove(self, id: str) -> None:
        """Forget it."""
        self._ended.pop(id, None)

    def close(self) -> None:
        """Let go of the cluster."""
        driver, self._driver = self._driver, None
        if driver is None:
            return
        if self._open:
            driver.close()  # which ends them
        else:
            give_back(driver)

    def _status(self, id_: str) -> JobStatus:
        ended = self._ended.get(id_)
        if ended is None:
            return JobStatus(JobState.RUNNING if id_ in self._open else JobState.LOST)
        if ended.error:
            return JobStatus(JobState.FAILED, ended.reason or "it was cancelled")
        code, _ = ended.value
        return JobStatus(JobState.FAILED if code else JobState.SUCCEEDED, f"exit code {code}")
