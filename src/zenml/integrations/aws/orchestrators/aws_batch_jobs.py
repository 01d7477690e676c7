"""Jobs as those of AWS Batch: https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from zenml.exceptions import RunError
from zenml.integrations.aws import errors
from zenml.integrations.aws.cloudwatch import last_lines
from zenml.jobs import Job, JobEngine, JobState, JobStatus
from zenml.model.json import canonical

if TYPE_CHECKING:
    from zenml.model.deployment import ResourceSpec

LOG_GROUP = "/aws/batch/job"
_MOST_JOBS = 100
"""That DescribeJobs takes at once."""
_SHORTEST = 60
"""Seconds of a timeout, at the least."""
_OVERTIME = 60
_MEBIBYTE = 2**20
_NOT_IN_TAGS = re.compile(r"[^\w .:/=+@-]", re.ASCII)
_LONGEST_TAG = 256

_STATES = {
    **dict.fromkeys(("SUBMITTED", "PENDING", "RUNNABLE", "STARTING"), JobState.WAITING),
    "RUNNING": JobState.RUNNING,
    "SUCCEEDED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
}

_REMEDIES = {
    "AccessDenied": "access is denied. Who runs pipelines needs the rights batch:SubmitJob, DescribeJobs, TerminateJob, "
    "RegisterJobDefinition, DescribeJobDefinitions, DescribeJobQueues and DescribeComputeEnvironments, iam:PassRole for the roles of jobs, "
    "and logs:GetLogEvents.",
    "ClientException": "it is refused. Mend the fields of the orchestrator that the answer names.",
}


def explained(error: Exception, what: str) -> RunError:
    """What an error of the AWS library means, and what to do about it."""
    return errors.explained(error, "AWS Batch", what, _REMEDIES)


class AWSBatchJobs(JobEngine):
    """Jobs in the queue `queue`, each a container of one attempt. `container` is what all of them have in common."""

    def __init__(
        self,
        batch: Any,
        logs: Any,
        *,
        queue: str,
        container: Mapping[str, Any],
        cpus: int,
        memory: int,
        poll_seconds: float,
    ) -> None:
        self._batch = batch
        self._logs = logs
        self._queue = queue
        self._container = container
        self._cpus = cpus
        self._memory = memory
        self._definitions: dict[str, str] = {}
        self.poll_seconds = poll_seconds

    def submit(self, job: Job) -> str:
        """Submit it; the definition that it needs is registered when there is none yet."""
        if job.image is None:
            raise RunError("AWS Batch runs images alone, and there is none for this job.")
        request: dict[str, Any] = {
            "jobName": job.name,
            "jobQueue": self._queue,
            "containerOverrides": {
                "command": list(job.command),
                "environment": [{"name": name, "value": value} for name, value in job.environment.items()],
                "resourceRequirements": self._requirements(job.resources),
            },
            "tags": {
                f"zenml.{name}": _NOT_IN_TAGS.sub("_", value)[:_LONGEST_TAG]
                for name, value in (("pipeline", job.pipeline), ("run", job.run), ("step", job.step))
            },
        }
        if job.timeout is not None:
            seconds = max(_SHORTEST, math.ceil(job.timeout) + _OVERTIME)
            request["timeout"] = {"attemptDurationSeconds": seconds}
        try:
            id_: str = self._batch.submit_job(jobDefinition=self._definition(job.image), **request)["jobId"]
        except Exception as error:  # noqa: BLE001  explained where it is known
            raise explained(error, f"start the job '{job.name}' in the queue '{self._queue}'") from None
        return id_

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """What DescribeJobs says of a hundred at a time."""
        found: dict[str, JobStatus] = {}
        for first in range(0, len(ids), _MOST_JOBS):
            with _reached("see how jobs are"):
                answer = self._batch.describe_jobs(jobs=list(ids[first : first + _MOST_JOBS]))
            found |= {job["jobId"]: _status(job) for job in answer["jobs"]}
        unknown = JobStatus(JobState.LOST, "AWS Batch does not know it any more")
        return {id_: found.get(id_, unknown) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Terminate it, wherever it is on its way."""
        with _reached(f"end the job '{id}'"):
            self._batch.terminate_job(jobId=id, reason="It was cancelled by the run that it belongs to.")

    def log(self, id: str, lines: int = 20) -> list[str]:
        """What is in Amazon CloudWatch."""
        with _reached(f"read the log of the job '{id}'"):
            jobs = self._batch.describe_jobs(jobs=[id])["jobs"]
            stream = jobs[0].get("container", {}).get("logStreamName") if jobs else None
            if stream is None:
                return []
            return last_lines(self._logs, LOG_GROUP, stream, lines)

    def close(self) -> None:
        """Close connections."""
        self._batch.close()
        self._logs.close()

    def _definition(self, image: str) -> str:
        """The name of the definition of jobs of that image, which is made of all that is in it."""
        if image not in self._definitions:
            container = {**self._container, "image": image, "resourceRequirements": self._requirements(None)}
            name = f"zenml-{hashlib.sha256(canonical(container).encode()).hexdigest()[:32]}"
            there = self._batch.describe_job_definitions(jobDefinitionName=name, status="ACTIVE")
            if not there["jobDefinitions"]:
                self._batch.register_job_definition(
                    jobDefinitionName=name,
                    type="container",
                    containerProperties=container,
                    platformCapabilities=["EC2"],
                    tags={"zenml.image": _NOT_IN_TAGS.sub("_", image)[:_LONGEST_TAG]},
                )
            self._definitions[image] = name
        return self._definitions[image]

    def _requirements(self, need: ResourceSpec | None) -> list[dict[str, str]]:
        cpus = math.ceil(need.cpu) if need is not None and need.cpu else self._cpus
        memory = need.memory if need is not None and need.memory else self._memory
        found = {"VCPU": cpus, "MEMORY": math.ceil(memory / _MEBIBYTE)}
        if need is not None and need.gpu:
            found["GPU"] = need.gpu
        return [{"type": type_, "value": str(amount)} for type_, amount in found.items()]


def _reached(what: str) -> AbstractContextManager[None]:
    return errors.reached(lambda error: explained(error, what))


def _status(job: Mapping[str, Any]) -> JobStatus:
    container = job.get("container", {})
    told = [job.get("statusReason"), container.get("reason")]
    if (code := container.get("exitCode")) is not None:
        told.append(f"exit code {code}")
    return JobStatus(_STATES[job["status"]], "; ".join(filter(None, told)))
