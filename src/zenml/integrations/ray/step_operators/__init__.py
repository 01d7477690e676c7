"""Single steps on a Ray cluster."""

from zenml.integrations.ray.step_operators.ray_step_operator import RayStepOperator

__all__ = ["RayStepOperator"]
