"""Steps on Vertex AI."""

from zenml.integrations.gcp.step_operators.vertex_step_operator import VertexStepOperator

__all__ = ["VertexStepOperator"]
