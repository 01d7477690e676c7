"""Steps on a Ray cluster."""

from zenml.integrations.ray.orchestrators.ray_orchestrator import RayOrchestrator

__all__ = ["RayOrchestrator"]
