"""Jobs as processing jobs of Amazon SageMaker.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateProcessingJob.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from botocore.exceptions import ClientError

from zenml.exceptions import RunError
from zenml.integrations.aws import errors
from zenml.integrations.aws.cloudwatch import last_lines, streams
from zenml.integrations.aws.errors import code_of
from zenml.jobs import Job, JobState, JobStatus
from zenml.stack.capacity import Capacity
from zenml.step_operators.machine_step_operator import MachineJobs

_LONGEST_WORD = 256
_MOST_WORDS = 100
_LONGEST_RUN = 5 * 24 * 3600
"""Seconds: the longest that the service documents for every type of instance."""
_OVERTIME = 300
_OUTPUT = "/opt/ml/processing/output"
_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"

_REMEDIES = {
    "AccessDenied": "access is denied. Who runs pipelines needs the rights sagemaker:CreateProcessingJob, DescribeProcessingJob, "
    "StopProcessingJob and ListProcessingJobs, iam:PassRole for the role, and logs:GetLogEvents and DescribeLogStreams.",
    "UnauthorizedOperation": "access is denied. Who runs pipelines whose steps say what they need needs the right "
    "ec2:DescribeInstanceTypes.",
    "InvalidInstanceType": "Amazon EC2, which knows what instances have, has no such type.",
    "ResourceLimitExceeded": "the account's quota does not allow it. Set `max_jobs` to how many instances of that type it has for "
    "processing jobs, choose another `instance_type`, or ask for a higher quota in the console of Service Quotas.",
    "ResourceNotFound": "something that it names does not exist. An experiment is made by `aws sagemaker create-experiment`.",
    "ValidationException": "it is refused. Mend the fields of the step operator that the answer names; a role must trust "
    "sagemaker.amazonaws.com.",
}


class SagemakerJobs(MachineJobs):
    """Processing jobs with the rights of `role`, each on an instance of its own."""

    def __init__(
        self,
        sagemaker: Any,
        logs: Any,
        ec2: Any,
        *,
        role: str,
        instance_type: str,
        volume_size_gb: int,
        bucket: str | None = None,
        experiment_name: str | None = None,
        subnets: Sequence[str] = (),
        security_group_ids: Sequence[str] = (),
        max_jobs: int | None = None,
    ) -> None:
        self._sagemaker = sagemaker
        self._logs = logs
        self._ec2 = ec2
        self._role = role
        self._instance_type = instance_type
        self._volume_size_gb = volume_size_gb
        self._bucket = bucket
        self._experiment_name = experiment_name
        self._network = {"Subnets": list(subnets), "SecurityGroupIds": list(security_group_ids)}
        self.max_jobs = max_jobs

    def submit(self, job: Job) -> str:
        """Create a processing job of the job's name."""
        request = self.request(job)
        try:
            self._sagemaker.create_processing_job(**request)
        except Exception as error:  # noqa: BLE001  explained where it is known
            # Names are unique: it is ours, created by a request whose answer was lost.
            if code_of(error) != "ResourceInUse":
                raise explained(error, f"start the job '{job.name}' on {self._instance_type}") from None
        return job.name

    def request(self, job: Job) -> dict[str, Any]:
        """The parameters of CreateProcessingJob. Raises RunError if the service has no room for them."""
        if job.image is None:
            raise RunError(
                "SageMaker runs images alone, and there is none for this job: set the field `base_image`."
            )
        runtime = _LONGEST_RUN if job.timeout is None else math.ceil(job.timeout) + _OVERTIME
        request: dict[str, Any] = {
            "ProcessingJobName": job.name,
            "RoleArn": self._role,
            "AppSpecification": {
                "ImageUri": job.image,
                "ContainerEntrypoint": [job.command[0]],
                "ContainerArguments": arguments(job.command[1:]),
            },
            "ProcessingResources": {
                "ClusterConfig": {
                    "InstanceCount": 1,
                    "InstanceType": self._instance_type,
                    "VolumeSizeInGB": self._volume_size_gb,
                }
            },
            "StoppingCondition": {"MaxRuntimeInSeconds": min(runtime, _LONGEST_RUN)},
        }
        if job.environment:
            request["Environment"] = dict(job.environment)
        if self._network["Subnets"]:
            request["NetworkConfig"] = {"VpcConfig": self._network}
        if self._experiment_name:
            request["ExperimentConfig"] = {"ExperimentName": self._experiment_name}
        if self._bucket:
            target = {
                "S3Uri": f"s3://{self._bucket}/{job.name}",
                "LocalPath": _OUTPUT,
                "S3UploadMode": "EndOfJob",
            }
            request["ProcessingOutputConfig"] = {"Outputs": [{"OutputName": "output", "S3Output": target}]}
        return request

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """What DescribeProcessingJob says of each."""
        return {id_: self._state(id_) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Stop it: its process is told to end, and is ended two minutes later."""
        with _reached(f"stop the job '{id}'"):
            try:
                self._sagemaker.stop_processing_job(ProcessingJobName=id)
            except ClientError as error:
                # That is how the service answers if it has ended, or is not known.
                if code_of(error) not in ("ValidationException", "ResourceNotFound"):
                    raise

    def log(self, id: str, lines: int = 20) -> list[str]:
        """What is in Amazon CloudWatch."""
        with _reached(f"read the log of the job '{id}'"):
            found = streams(self._logs, _LOG_GROUP, f"{id}/")
            return [line for stream in found for line in last_lines(self._logs, _LOG_GROUP, stream, lines)][
                -lines:
            ]

    def look(self) -> None:
        """See whether jobs can be listed."""
        try:
            self._sagemaker.list_processing_jobs(MaxResults=1)
        except Exception as error:  # noqa: BLE001  explained where it is known
            raise explained(error, "list jobs") from None

    def machine(self) -> Capacity:
        """What Amazon EC2 says of the type of instance."""
        try:
            (found,) = self._ec2.describe_instance_types(
                InstanceTypes=[self._instance_type.removeprefix("ml.")]
            )["InstanceTypes"]
        except Exception as error:  # noqa: BLE001  the same
            raise explained(error, f"see what an instance of the type {self._instance_type} has") from None
        gpus = sum(gpu["Count"] for gpu in found.get("GpuInfo", {}).get("Gpus", ()))
        memory = found["MemoryInfo"]["SizeInMiB"] << 20
        return Capacity(found["VCpuInfo"]["DefaultVCpus"], memory, tuple(map(str, range(gpus))))

    def close(self) -> None:
        """Close connections."""
        self._sagemaker.close()
        self._logs.close()
        self._ec2.close()

    def _state(self, id_: str) -> JobStatus:
        with _reached(f"see how the job '{id_}' is"):
            try:
                job = self._sagemaker.describe_processing_job(ProcessingJobName=id_)
            except ClientError as error:
                if code_of(error) not in ("ValidationException", "ResourceNotFound"):
                    raise
                return JobStatus(JobState.LOST, "SageMaker does not know it")
        status = job["ProcessingJobStatus"]
        if status == "Completed":
            return JobStatus(JobState.SUCCEEDED)
        if status in ("Failed", "Stopped"):
            told = (job.get("FailureReason"), job.get("ExitMessage"))
            reasons = "; ".join(dict.fromkeys(filter(None, told))) or f"SageMaker says {status}"
            return JobStatus(JobState.FAILED, reasons)
        return JobStatus(JobState.RUNNING if "ProcessingStartTime" in job else JobState.WAITING)


def arguments(words: Sequence[str]) -> list[str]:
    """Words of a command as the service takes them: those after `--stack`, which may be cut, in parts of 256 characters.

    Raises:
        RunError: another word is longer, or there are too many.
    """
    found: list[str] = []
    divisible = False
    for word in words:
        if len(word) <= _LONGEST_WORD:
            found.append(word)
        elif divisible:
            found += _parts(word)
        else:
            raise RunError(
                f"SageMaker takes arguments of {_LONGEST_WORD} characters at the most; this one has {len(word)}: {word[:80]!r}... Choose a "
                "shorter path for the artifact store."
            )
        divisible = divisible or word == "--stack"
    if len(found) > _MOST_WORDS:
        raise RunError(
            f"SageMaker takes commands of {_MOST_WORDS} words of {_LONGEST_WORD} characters at the most; the configuration of the stack's "
            f"artifact store and secrets manager makes it {len(found)}: shorten it."
        )
    return found


def _parts(word: str) -> Iterator[str]:
    while word:
        end = min(_LONGEST_WORD, len(word))
        while word[end : end + 1] == "-":  # the next part would be taken for an option
            end -= 1
        yield word[:end]
        word = word[end:]


def explained(error: Exception, what: str) -> RunError:
    """What an error of the AWS library means, and what to do about it."""
    return errors.explained(error, "SageMaker", what, _REMEDIES)


def _reached(what: str) -> AbstractContextManager[None]:
    return errors.reached(lambda error: explained(error, what))
