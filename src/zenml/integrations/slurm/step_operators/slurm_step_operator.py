"""A step operator that executes steps as batch jobs of Slurm."""

from __future__ import annotations

from typing import ClassVar

from zenml.integrations.slurm.slurm_component import SlurmComponent
from zenml.step_operators.job_step_operator import JobStepOperator


class SlurmStepOperator(SlurmComponent, JobStepOperator):
    """Submits a batch job for each attempt of the steps that name it; see `SlurmComponent` for the fields."""

    FLAVOR: ClassVar[str] = "slurm"
    carries_secrets: ClassVar[bool] = True
