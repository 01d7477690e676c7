"""Pipelines on Kubeflow Pipelines."""

from zenml.integrations.kubeflow.orchestrators.kubeflow_orchestrator import KubeflowOrchestrator

__all__ = ["KubeflowOrchestrator"]
