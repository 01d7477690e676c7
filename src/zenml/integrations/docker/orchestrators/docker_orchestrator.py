"""An orchestrator that executes steps in containers of a Docker engine."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

from zenml.exceptions import StackValidationError
from zenml.integrations.docker.engine import DockerEngine
from zenml.orchestrators.job_orchestrator import JobOrchestrator

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment


class DockerOrchestrator(DockerEngine, JobOrchestrator):
    """Executes each attempt of a step in a container of its own. The process that starts a run stays with it to its end."""

    FLAVOR: ClassVar[str] = "docker"
    uses_image: ClassVar[bool] = True
    carries_secrets: ClassVar[bool] = True

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the engine answers, and that its machine has what each step needs."""
        with closing(self.client()) as client:
            there = self.capacity(client.info())
        if reasons := [
            f"  the step '{step.name}' needs {reason}"
            for step in deployment.steps
            if step.step_operator is None and step.resources is not None
            for reason in there.lacks([step.resources])
        ]:
            raise StackValidationError(
                f"The machine of the Docker engine at {self.place} has less than these steps need:\n"
                + "\n".join(reasons)
                + f"\nLet them ask for less, or say what there is in the fields gpus and resources of the orchestrator '{self.name}'."
            )
