"""Step operators: where single steps are executed, other than where the orchestrator executes them."""

from zenml.step_operators.base_step_operator import BaseStepOperator
from zenml.step_operators.venv_step_operator import VenvStepOperator

__all__ = ["BaseStepOperator", "VenvStepOperator"]
