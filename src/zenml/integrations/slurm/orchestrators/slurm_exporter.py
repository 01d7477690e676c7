"""A run as a graph of batch jobs that are submitted at once."""

from __future__ import annotations

import os
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

from zenml.exceptions import RunError
from zenml.integrations.slurm import slurm_programs
from zenml.integrations.slurm.slurm_jobs import SlurmJobs
from zenml.jobs import Job, JobState, JobStatus
from zenml.jobs.secrets import carried_secrets
from zenml.orchestrators.exporter import Exporter

if TYPE_CHECKING:
    from zenml.integrations.slurm.slurm_component import SlurmComponent
    from zenml.model.deployment import StepSpec
    from zenml.orchestrators.exporter import Graph

_ENDING = 5.0
"""Seconds for which jobs are waited for whose steps have ended."""


class SlurmExporter(Exporter):
    """Submits one job for each node of a graph; Slurm starts it when those that it depends on have ended well, or removes it."""

    def __init__(self, orchestrator: SlurmComponent, *, synchronous: bool) -> None:
        self.is_synchronous = synchronous
        self._jobs = SlurmJobs(orchestrator, is_followed=synchronous)
        self._steps: dict[str, str] = {}
        self._ended: set[str] = set()

    def submit(self, graph: Graph) -> None:
        """Submit all nodes, and without anybody who waits, the end of the run behind them."""
        secrets = carried_secrets(graph.deployment, None)
        ids: dict[str, str] = {}
        try:
            for node in graph.nodes:
                after = ":".join(ids[name] for name in node.upstream)
                options = [f"--dependency=afterok:{after}", "--kill-on-invalid-dep=yes"] if after else []
                command = (*graph.arguments, *node.arguments)
                ids[node.step.name] = self._jobs.submit(_job(graph, command, node.step, secrets), *options)
            if not self.is_synchronous:
                self._jobs.submit(
                    _job(graph, (*graph.arguments, "--end"), None, secrets),
                    f"--dependency=afterany:{':'.join(ids.values())}",
                    is_last=True,
                )
        except BaseException:
            if ids:
                slurm_programs.cancel(ids.values())
            raise
        self._steps = {id_: name for name, id_ in ids.items()}

    def status(self) -> JobStatus:
        """That of the jobs together."""
        states = self._jobs.states(list(self._steps))
        self._ended = {id_ for id_, status in states.items() if status.state.is_finished}
        if len(self._ended) < len(states):
            return JobStatus(JobState.RUNNING)
        failed = [
            f"the job of the step '{self._steps[id_]}': {status.reason}"
            for id_, status in states.items()
            if status.state is not JobState.SUCCEEDED
        ]
        return JobStatus(JobState.FAILED if failed else JobState.SUCCEEDED, "; ".join(failed))

    def cancel(self) -> None:
        """End all jobs."""
        slurm_programs.cancel(self._steps)

    def close(self) -> None:
        """Remove what is left of jobs that have ended, or do so now."""
        patience = time.monotonic() + _ENDING
        while self.is_synchronous and self._steps:
            with suppress(RunError):
                self.status()
            for id_ in self._ended:
                self._jobs.remove(id_)
                del self._steps[id_]
            if time.monotonic() > patience:
                break
            time.sleep(self._jobs.poll_seconds)


def _job(graph: Graph, arguments: tuple[str, ...], step: StepSpec | None, secrets: str | None) -> Job:
    deployment = graph.deployment
    name = "end of the run" if step is None else step.name
    words = re.sub("[^a-z0-9]+", "-", f"{deployment.pipeline}-{name}".lower()).strip("-")[:50]
    return Job(
        name=f"z-{words}-{uuid4().hex[:8]}",
        command=("python", *arguments),
        pipeline=deployment.pipeline,
        run=deployment.run_name,
        step=name,
        environment={k: v for k, v in os.environ.items() if k.startswith("ZENML_")},
        secrets=secrets,
        resources=step.resources if step is not None and step.step_operator is None else None,
    )
