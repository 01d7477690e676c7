"""Steps: typed functions that make up pipelines."""

from zenml.steps.base_step import BaseStep, clone_step, step
from zenml.steps.config import BaseStepConfig
from zenml.steps.context import STEP_ENVIRONMENT_NAME, StepContext, StepEnvironment
from zenml.steps.output import Output

__all__ = [
    "STEP_ENVIRONMENT_NAME",
    "BaseStep",
    "BaseStepConfig",
    "Output",
    "StepContext",
    "StepEnvironment",
    "clone_step",
    "step",
]
