"""The step operator that executes steps on Amazon SageMaker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import Field, SecretStr, field_validator, model_validator

from zenml.enums import StackComponentType
from zenml.exceptions import StackValidationError
from zenml.integrations.aws.step_operators.sagemaker_jobs import SagemakerJobs, explained
from zenml.stack import StackValidator
from zenml.stack.checks import tried
from zenml.step_operators.job_step_operator import JobStepOperator

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.jobs import JobEngine
    from zenml.stack.checks import Check

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[\w+=,.@/-]+")
_ATTEMPTS = 3


class SagemakerStepOperator(JobStepOperator):
    """Executes steps as processing jobs of Amazon SageMaker, with the rights of the IAM role `role`, each on an instance of its own.

    With `bucket`, what a step writes below /opt/ml/processing/output is copied to that S3 bucket at its end. Credentials and region come
    from the default chain of the AWS tools, unless fields say otherwise. `max_jobs` bounds how many steps run at once: SageMaker refuses
    more than the account's quota of instances.
    """

    FLAVOR: ClassVar[str] = "sagemaker"

    uses_image: ClassVar[bool] = True

    role: str
    instance_type: str
    base_image: str | None = None
    bucket: str | None = None
    experiment_name: str | None = None
    volume_size_gb: int = Field(30, ge=1, le=16384)
    subnets: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()
    max_jobs: int | None = Field(None, gt=0)
    region_name: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    timeout: float = Field(10, gt=0)

    @field_validator("role")
    @classmethod
    def _check_role(cls, value: str) -> str:
        if not _ROLE.fullmatch(value):
            raise ValueError(
                f"{value!r} is no role: expected its ARN, as arn:aws:iam::123456789012:role/my-role "
                "(`aws iam get-role --role-name NAME` shows it)"
            )
        return value

    @field_validator("instance_type")
    @classmethod
    def _check_instance_type(cls, value: str) -> str:
        if not value.startswith("ml."):
            raise ValueError(f"{value!r} is no type of instance of SageMaker: expected one as ml.m5.xlarge")
        return value

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        fields = self.__dict__
        if bool(fields["aws_access_key_id"]) != bool(fields["aws_secret_access_key"]):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together: only one is given")
        if bool(fields["subnets"]) != bool(fields["security_group_ids"]):
            raise ValueError("subnets and security_group_ids belong together: only one is given")
        return self

    @property
    def image_base(self) -> str | None:
        """The field `base_image`."""
        return self.base_image

    @property
    def validator(self) -> StackValidator:
        """There is a registry to pull images from, and steps reach every component."""
        return StackValidator({StackComponentType.CONTAINER_REGISTRY}, self._all_reach)

    def jobs(self) -> JobEngine:
        """Processing jobs."""
        return SagemakerJobs(
            self._client("sagemaker"),
            self._client("logs"),
            max_jobs=self.max_jobs,
            role=self.role,
            instance_type=self.instance_type,
            volume_size_gb=self.volume_size_gb,
            bucket=self.bucket,
            experiment_name=self.experiment_name,
            subnets=self.subnets,
            security_group_ids=self.security_group_ids,
        )

    def check(self) -> Iterator[Check]:
        """The credentials are accepted, and may see jobs."""
        yield from super().check()
        yield tried("credentials", lambda: self._asked("sts", "get_caller_identity")["Arn"])
        yield tried("jobs", lambda: self._asked("sagemaker", "list_processing_jobs", MaxResults=1) and "")

    def _asked(self, service: str, operation: str, **parameters: Any) -> Any:
        try:
            return getattr(self._client(service), operation)(**parameters)
        except Exception as error:  # noqa: BLE001  explained where it is known
            raise explained(error, f"ask {service}") from None

    def _client(self, service: str) -> Any:
        secret, token = self.aws_secret_access_key, self.aws_session_token
        try:
            return boto3.Session(
                aws_access_key_id=self.aws_access_key_id,
                aws_secret_access_key=secret and secret.get_secret_value(),
                aws_session_token=token and token.get_secret_value(),
                region_name=self.region_name,
            ).client(
                service,
                config=Config(
                    connect_timeout=self.timeout,
                    read_timeout=self.timeout,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                ),
            )
        except BotoCoreError as error:
            raise StackValidationError(
                f"The step operator '{self.name}' cannot be used: {explained(error, 'connect')}"
            ) from None
