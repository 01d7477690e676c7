"""The step operator of Slurm."""

from zenml.integrations.slurm.step_operators.slurm_step_operator import SlurmStepOperator

__all__ = ["SlurmStepOperator"]
