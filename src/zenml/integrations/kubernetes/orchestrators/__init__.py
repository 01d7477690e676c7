"""Steps on a Kubernetes cluster."""

from zenml.integrations.kubernetes.orchestrators.kubernetes_orchestrator import KubernetesOrchestrator

__all__ = ["KubernetesOrchestrator"]
