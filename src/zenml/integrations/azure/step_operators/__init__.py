"""Steps on Azure Machine Learning."""

from zenml.integrations.azure.step_operators.azureml_step_operator import AzureMLStepOperator

__all__ = ["AzureMLStepOperator"]
