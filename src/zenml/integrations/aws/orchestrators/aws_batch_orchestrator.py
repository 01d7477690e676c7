"""The orchestrator that executes steps on AWS Batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import ByteSize, Field, SecretStr, model_validator

from zenml.enums import Reach, StackComponentType
from zenml.environment import is_this_machine
from zenml.exceptions import RunError, StackValidationError
from zenml.integrations.aws.orchestrators.aws_batch_jobs import AWSBatchJobs, explained
from zenml.orchestrators.job_orchestrator import JobOrchestrator
from zenml.stack.capacity import Capacity
from zenml.stack.checks import tried

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.jobs import JobEngine
    from zenml.model.deployment import Deployment
    from zenml.stack.checks import Check

_ATTEMPTS = 3


class AWSBatchOrchestrator(JobOrchestrator):
    """Executes each attempt of a step as a job of AWS Batch, in a queue that is there already, whose machines are EC2 instances.

    Credentials and region come from the default chain of the AWS tools, unless fields say otherwise. The process that starts a run stays
    with it to its end.

    Args:
        job_queue: name or ARN of the queue.
        job_role_arn: the IAM role that steps have, for S3 and AWS Secrets Manager for instance.
        execution_role_arn: the IAM role that images are pulled and logs written with; by default, that of the instances.
        cpus, memory: what a step gets that does not say what it needs. Memory is in bytes, or text: "8GB".
        custom_docker_base_image_name: the image that those for steps begin with.
        profile_name: one of ~/.aws.
        endpoint_url: where the services are, instead of Amazon's own.
        poll_seconds: seconds between two looks at how jobs are.
        timeout: seconds for which an answer is waited for.
    """

    FLAVOR: ClassVar[str] = "aws_batch"
    uses_image: ClassVar[bool] = True

    job_queue: str
    job_role_arn: str | None = None
    execution_role_arn: str | None = None
    cpus: int = Field(default=1, ge=1)
    memory: ByteSize = Field(default=ByteSize(2_000_000_000), ge=4 * 2**20)
    custom_docker_base_image_name: str | None = None
    region_name: str | None = None
    profile_name: str | None = None
    endpoint_url: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    poll_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 2.0
    timeout: float = Field(default=10, gt=0)

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        fields = self.__dict__
        if bool(fields["aws_access_key_id"]) != bool(fields["aws_secret_access_key"]):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together: only one is given")
        return self

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
            self._client("batch"),
            self._client("logs"),
            queue=self.job_queue,
            container=container,
            cpus=self.cpus,
            memory=self.memory,
            poll_seconds=self.poll_seconds,
        )

    def check(self) -> Iterator[Check]:
        """The credentials are accepted, and the queue takes jobs."""
        yield from super().check()
        yield tried("credentials", lambda: self._asked("sts", "get_caller_identity")["Arn"])
        yield tried("queue", self._queue_found)

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the queue takes jobs, that its machines find images, and that each step fits there."""
        if StackComponentType.CONTAINER_REGISTRY not in deployment.stack.components and not self.is_here:
            raise StackValidationError(
                f"The machines of the orchestrator '{self.name}' get images from a container registry, and the stack "
                f"'{deployment.stack.name}' has none: add one, see `zenml container-registry register --help`."
            )
        most = self._most_cpus(self._queue())
        reasons = []
        for step in deployment.steps:
            if step.resources is None or step.step_operator is not None:
                continue
            # Memory and devices are known to the instances alone, which are started when they are needed.
            tokens = [f"{name}, which Batch does not know" for name in step.resources.custom]
            lacks = [] if most is None else Capacity(most, 0).lacks([step.resources])
            reasons += [f"  the step '{step.name}' needs {one}" for one in tokens]
            reasons += [f"  the step '{step.name}' needs {one}" for one in lacks if one.startswith("cpu:")]
        if reasons:
            raise StackValidationError(
                f"The queue '{self.job_queue}' of the orchestrator '{self.name}' has less than these steps need:\n"
                + "\n".join(reasons)
                + "\nLet them ask for less, or raise maxvCpus of the queue's compute environments."
            )

    def _queue_found(self) -> str:
        most = self._most_cpus(self._queue())
        return f"'{self.job_queue}'" + ("" if most is None else f", at most {most} vCPUs")

    def _queue(self) -> Mapping[str, Any]:
        queues = self._asked("batch", "describe_job_queues", jobQueues=[self.job_queue])["jobQueues"]
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
        found = self._asked("batch", "describe_compute_environments", computeEnvironments=names)
        resources = [one.get("computeResources", {}) for one in found["computeEnvironments"]]
        if fargate := [one["type"] for one in resources if one.get("type", "").startswith("FARGATE")]:
            raise StackValidationError(
                f"The job queue '{self.job_queue}' starts jobs on {fargate[0]}, which the orchestrator '{self.name}' does not support: "
                "choose a queue whose compute environments are of EC2 instances."
            )
        limits = [one.get("maxvCpus") for one in resources]
        return None if None in limits else max(limits, default=None)

    def _asked(self, service: str, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._client(service), operation)(**parameters)
        except StackValidationError:
            raise
        except Exception as error:  # noqa: BLE001  explained where it is known
            raise self._unusable(explained(error, f"ask {service}")) from None

    def _client(self, service: str) -> Any:
        secret, token = self.aws_secret_access_key, self.aws_session_token
        try:
            return boto3.Session(
                aws_access_key_id=self.aws_access_key_id,
                aws_secret_access_key=secret and secret.get_secret_value(),
                aws_session_token=token and token.get_secret_value(),
                region_name=self.region_name,
                profile_name=self.profile_name,
            ).client(
                service,
                endpoint_url=self.endpoint_url,
                config=Config(
                    connect_timeout=self.timeout,
                    read_timeout=self.timeout,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                ),
            )
        except BotoCoreError as error:
            raise self._unusable(explained(error, "connect")) from None

    def _unusable(self, reason: RunError) -> StackValidationError:
        return StackValidationError(f"The orchestrator '{self.name}' cannot be used: {reason}")
