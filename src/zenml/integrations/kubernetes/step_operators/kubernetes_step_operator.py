"""A step operator that executes steps as Jobs of a Kubernetes cluster."""

from __future__ import annotations

from typing import ClassVar

from zenml.integrations.kubernetes.cluster import KubernetesCluster
from zenml.step_operators.job_step_operator import JobStepOperator


class KubernetesStepOperator(KubernetesCluster, JobStepOperator):
    """Executes each attempt of a step as a Job of a cluster."""

    FLAVOR: ClassVar[str] = "kubernetes"
    uses_image: ClassVar[bool] = True
    carries_secrets: ClassVar[bool] = True
