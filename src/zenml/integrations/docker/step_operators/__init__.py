"""Single steps in containers."""

from zenml.integrations.docker.step_operators.docker_step_operator import DockerStepOperator

__all__ = ["DockerStepOperator"]
