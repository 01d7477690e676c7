"""Steps in containers."""

from zenml.integrations.docker.orchestrators.docker_orchestrator import DockerOrchestrator

__all__ = ["DockerOrchestrator"]
