"""The step operator that executes steps on Amazon SageMaker."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator, model_validator

from zenml.integrations.aws.account import AWSAccount
from zenml.integrations.aws.step_operators.sagemaker_jobs import SagemakerJobs, explained
from zenml.stack.checks import tried
from zenml.step_operators.machine_step_operator import MachineStepOperator

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.exceptions import RunError
    from zenml.stack.checks import Check
    from zenml.step_operators.machine_step_operator import MachineJobs

_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/?[\w+=,.@/-]+")


class SagemakerStepOperator(AWSAccount, MachineStepOperator):
    """Executes steps as processing jobs of Amazon SageMaker, with the rights of the IAM role `role`, each on an instance of its own.

    With `bucket`, what a step writes below /opt/ml/processing/output is copied to that S3 bucket at its end. `max_jobs` bounds how many
    steps run at once: SageMaker refuses more than the account's quota of instances. See `AWSAccount` for other fields.
    """

    FLAVOR: ClassVar[str] = "sagemaker"

    remedy: ClassVar[str] = "set its `instance_type` to one that has it"

    role: str
    instance_type: str
    base_image: str | None = None
    bucket: str | None = None
    experiment_name: str | None = None
    volume_size_gb: int = Field(30, ge=1, le=16384)
    subnets: tuple[str, ...] = ()
    security_group_ids: tuple[str, ...] = ()

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
        if bool(fields["subnets"]) != bool(fields["security_group_ids"]):
            raise ValueError("subnets and security_group_ids belong together: only one is given")
        return self

    @property
    def image_base(self) -> str | None:
        """The field `base_image`."""
        return self.base_image

    def jobs(self) -> MachineJobs:
        """Processing jobs."""
        return SagemakerJobs(
            self.client("sagemaker"),
            self.client("logs"),
            self.client("ec2"),
            max_jobs=self.max_jobs,
            role=self.role,
            instance_type=self.instance_type,
            volume_size_gb=self.volume_size_gb,
            bucket=self.bucket,
            experiment_name=self.experiment_name,
            subnets=self.subnets,
            security_group_ids=self.security_group_ids,
        )

    @staticmethod
    def explained(error: Exception, what: str) -> RunError:
        """What an error means to SageMaker."""
        return explained(error, what)

    def check(self) -> Iterator[Check]:
        """Whose credentials these are, and whether they may see jobs."""
        yield tried("credentials", lambda: self.asked("sts", "get_caller_identity")["Arn"])
        yield from super().check()
