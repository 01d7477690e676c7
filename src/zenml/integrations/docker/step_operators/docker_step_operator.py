"""A step operator that executes steps in containers of a Docker engine."""

from __future__ import annotations

from typing import ClassVar

from zenml.integrations.docker.engine import DockerEngine
from zenml.step_operators.job_step_operator import JobStepOperator


class DockerStepOperator(DockerEngine, JobStepOperator):
    """Executes each attempt of a step in a container of its own."""

    FLAVOR: ClassVar[str] = "docker"
    uses_image: ClassVar[bool] = True
    carries_secrets: ClassVar[bool] = True
