"""An orchestrator that executes steps in containers of a Docker engine."""

from __future__ import annotations

from typing import ClassVar

from zenml.integrations.docker.engine import DockerEngine
from zenml.orchestrators.job_orchestrator import JobOrchestrator


class DockerOrchestrator(DockerEngine, JobOrchestrator):
    """Executes each attempt of a step in a container of its own. The process that starts a run stays with it to its end."""

    FLAVOR: ClassVar[str] = "docker"
    uses_image: ClassVar[bool] = True
    carries_secrets: ClassVar[bool] = True
