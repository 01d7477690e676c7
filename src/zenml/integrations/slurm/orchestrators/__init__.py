"""The orchestrator of Slurm."""

from zenml.integrations.slurm.orchestrators.slurm_orchestrator import SlurmOrchestrator

__all__ = ["SlurmOrchestrator"]
