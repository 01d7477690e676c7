"""An orchestrator that executes steps as Jobs of a Kubernetes cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import StackValidationError
from zenml.integrations.kubernetes.cluster import KubernetesCluster
from zenml.orchestrators.job_orchestrator import JobOrchestrator

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment


class KubernetesOrchestrator(KubernetesCluster, JobOrchestrator):
    """Executes each attempt of a step as a Job of a cluster. The process that starts a run stays with it to its end."""

    FLAVOR: ClassVar[str] = "kubernetes"
    uses_image: ClassVar[bool] = True
    carries_secrets: ClassVar[bool] = True

    @property
    def spread(self) -> Reach:
        """Steps run on any machine of the cluster."""
        return Reach.NETWORK

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the cluster answers, that Jobs may be made there, and that each step fits on a node of it."""
        if StackComponentType.CONTAINER_REGISTRY not in deployment.stack.components and not self.is_here:
            raise StackValidationError(
                f"The nodes of the orchestrator '{self.name}' get images from a container registry, and the stack "
                f"'{deployment.stack.name}' has none: add one, see `zenml container-registry register --help`."
            )
        needs = {s.name: s.resources for s in deployment.steps if s.step_operator is None and s.resources}
        self.check_steps(needs)
