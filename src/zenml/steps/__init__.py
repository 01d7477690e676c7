"""Steps: typed functions that make up pipelines."""

from zenml.model.runs import Ending
from zenml.steps.base_step import BaseStep, clone_step, step
from zenml.steps.caching import Cache
from zenml.steps.composition import unmapped
from zenml.steps.config import BaseStepConfig
from zenml.steps.context import STEP_ENVIRONMENT_NAME, StepContext, StepEnvironment
from zenml.steps.output import Output
from zenml.steps.resources import Resources
from zenml.steps.retry import Retry

__all__ = [
    "STEP_ENVIRONMENT_NAME",
    "BaseStep",
    "BaseStepConfig",
    "Cache",
    "Ending",
    "Output",
    "Resources",
    "Retry",
    "StepContext",
    "StepEnvironment",
    "clone_step",
    "step",
    "unmapped",
]
