"""The orchestrator that executes steps on AWS Batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import ByteSize, Field

from zenml.enums import Reach, StackComponentType
from zenml.environment import is_this_machine
from zenml.exceptions import RunError, StackValidationError
from zenml.integrations.aws.account import AWSAccount
from zenml.integrations.aws.orchestrators.aws_batch_jobs import AWSBatchJobs, explained
from zenml.jobs.secrets import refuse_variables
from zenml.orchestrators.job_orchestrator import JobOrchestrator
from zenml.stack.capacity import Capacity, refuse_unmet
from zenml.stack.checks import tried

if TYPE_CHECKING:
    from zenml.jobs import JobEngine
    from zenml.model.deployment import Deployment
    from zenml.stack.checks import Check


class AWSBatchOrchestrator(AWSAccount, JobOrchestrator):
    """Executes each attempt of a step as a job of AWS Batch, in a queue that is there already, whose machines are EC2 instances.

    The process that starts a run stays with it to its end. See `AWSAccount` for other fields.

    Args:
        job_queue: name or ARN of the queue.
        job_role_arn: the IAM role that steps have, for S3 and AWS Secrets Manager for instance.
        execution_role_arn: the IAM role that images are pulled and logs written with; by default, that of the instances.
        cpus, memory: what a step gets that does not say what it needs. Memory is in bytes, or text: "8GB".
        custom_docker_base_image_name: the image that those for steps begin with.
        poll_seconds: seconds between two looks at how jobs are.
    """

    FLAVOR: ClassVar[str] = "aws_batch"
    uses_image: ClassVar[bool] = True

    job_queue: str
    job_role_arn: str | None = None
    execution_role_arn: str | None = None
    cpus: int = Field(default=1, ge=1)
    memory: ByteSize = Field(default=ByteSize(2_000_000_000), ge=4 * 2**20)
    custom_docker_base_image_name: str | None = None
    poll_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0

    @property
    def image_base(self) -> str | None:
        """The image that those for steps begin with."""
        return self.custom_docker_base_image_name

    @property
    def spread(self) -> Reach:
        """Steps run on any machine."""
        return Reach.NETWORK

    @property
    def is_here(self) -> bool:
        """Whether something on this machine stands for the services: its jobs have the images of this machine's engine."""
        return is_this_machine(urlsplit(self.endpoint_url or "").hostname)

    def jobs(self) -> JobEngine:
        """The jobs of one run."""
        container: dict[str, Any] = {}
        if self.job_role_arn:
            container["jobRoleArn"] = self.job_role_arn
        if self.execution_role_arn:
            container["executionRoleArn"] = self.execution_role_arn
        return AWSBatchJobs(
            self.client("batch"),
            self.client("logs"),
            queue=self.job_queue,
            container=container,
            cpus=self.cpus,
            memory=self.memory,
            poll_seconds=self.poll_seconds,
        )

    @staticmethod
    def explained(error: Exception, what: str) -> RunError:
        """What an error means to AWS Batch."""
        return explained(error, what)

    def check(self) -> Iterator[Check]:
        """The credentials are accepted, and the queue takes jobs."""
        yield from super().check()
        yield tried("credentials", lambda: self.asked("sts", "get_caller_identity")["Arn"])
        yield tried("queue", self._queue_found)

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the queue takes jobs, that its machines find images, and that each step fits there."""
        if StackComponentType.CONTAINER_REGISTRY not in deployment.stack.components and not self.is_here:
            raise StackValidationError(
                f"The machines of the orchestrator '{self.name}' get images from a container registry, and the stack "
                f"'{deployment.stack.name}' has none: add one, see `zenml container-registry register --help`."
            )
        refuse_variables(self, deployment)
        most = self._most_cpus(self._queue())
        # Memory and devices are known to the instances alone, which are started when they are needed.
        refuse_unmet(
            {name: replace(need, memory=None, gpu=0) for name, need in self.needs(deployment).items()},
            [Capacity(inf if most is None else most, 0)],
            lacking=f"The queue '{self.job_queue}' of the orchestrator '{self.name}' has less than these steps need",
            remedy="Let them ask for less, or raise maxvCpus of the queue's compute environments; Batch knows no tokens.",
        )

    def _queue_found(self) -> str:
        most = self._most_cpus(self._queue())
        return f"'{self.job_queue}'" + ("" if most is None else f", at most {most} vCPUs")

    def _queue(self) -> Mapping[str, Any]:
        queues = self.asked("batch", "describe_job_queues", jobQueues=[self.job_queue])["jobQueues"]
        if not queues:
            raise StackValidationError(
                f"There is no job queue '{self.job_queue}' for the orchestrator '{self.name}', in this region and account: set its field "
                "`job_queue` to one that `aws batch describe-job-queues` lists."
            )
        queue: Mapping[str, Any] = queues[0]
        if queue["state"] != "ENABLED" or queue["status"] not in ("VALID", "UPDATING"):
            raise StackValidationError(
                f"The job queue '{self.job_queue}' takes no jobs: it is {queue['state']} and {queue['status']}. Enable it with `aws batch "
                f"update-job-queue --job-queue {self.job_queue} --state ENABLED`."
            )
        return queue

    def _most_cpus(self, queue: Mapping[str, Any]) -> int | None:
        """How many vCPUs one compute environment of the queue may have; None where that is not told."""
        names = [one["computeEnvironment"] for one in queue["computeEnvironmentOrder"]]
        found = self.asked("batch", "describe_compute_environments", computeEnvironments=names)
        resources = [one.get("computeResources", {}) for one in found["computeEnvironments"]]
        if fargate := [one["type"] for one in resources if one.get("type", "").startswith("FARGATE")]:
            raise StackValidationError(
                f"The job queue '{self.job_queue}' starts jobs on {fargate[0]}, which the orchestrator '{self.name}' does not support: "
                "choose a queue whose compute environments are of EC2 instances."
            )
        limits = [one.get("maxvCpus") for one in resources]
        return None if None in limits else max(limits, default=None)
