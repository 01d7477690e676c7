"""An orchestrator that executes steps as Jobs of a Kubernetes cluster."""

from __future__ import annotations

from typing import ClassVar

from zenml.enums import Reach
from zenml.integrations.kubernetes.cluster import KubernetesCluster
from zenml.orchestrators.job_orchestrator import JobOrchestrator


class KubernetesOrchestrator(KubernetesCluster, JobOrchestrator):
    """Executes each attempt of a step as a Job of a cluster. The process that starts a run stays with it to its end."""

    FLAVOR: ClassVar[str] = "kubernetes"
    uses_image: ClassVar[bool] = True
    carries_secrets: ClassVar[bool] = True

    @property
    def spread(self) -> Reach:
        """Steps run on any machine of the cluster."""
        return Reach.NETWORK
