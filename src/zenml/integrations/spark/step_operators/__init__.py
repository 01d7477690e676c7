"""The step operator of Spark."""

from zenml.integrations.spark.step_operators.spark_step_operator import SparkStepOperator

__all__ = ["SparkStepOperator"]
