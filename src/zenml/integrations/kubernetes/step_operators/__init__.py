"""Single steps on a Kubernetes cluster."""

from zenml.integrations.kubernetes.step_operators.kubernetes_step_operator import KubernetesStepOperator

__all__ = ["KubernetesStepOperator"]
