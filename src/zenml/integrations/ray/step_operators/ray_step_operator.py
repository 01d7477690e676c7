"""A step operator that executes steps on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zenml.integrations.ray.cluster import RayCluster
from zenml.integrations.ray.jobs import RayJobs
from zenml.step_operators.job_step_operator import JobStepOperator

if TYPE_CHECKING:
    from zenml.jobs import JobEngine


class RayStepOperator(RayCluster, JobStepOperator):
    """Executes each attempt of a step as a command that a task of a Ray cluster runs."""

    FLAVOR: ClassVar[str] = "ray"

    def jobs(self) -> JobEngine:
        """Tasks of the cluster."""
        return RayJobs(self)
