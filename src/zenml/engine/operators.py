"""Steps that a step operator executes: the entry point, started elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zenml.orchestrators.job_executor import JobExecutor

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.stack import Stack
    from zenml.step_operators import BaseStepOperator


def operator_executor(operator: BaseStepOperator, deployment: Deployment, stack: Stack) -> JobExecutor:
    """An executor of the steps that name the stack's step operator."""
    image = deployment.images.get(operator.TYPE.value) if operator.uses_image else None
    return JobExecutor(operator.jobs(), deployment, stack, spread=operator.spread, image=image)
