"""Steps on Amazon SageMaker."""

from zenml.integrations.aws.step_operators.sagemaker_step_operator import SagemakerStepOperator

__all__ = ["SagemakerStepOperator"]
