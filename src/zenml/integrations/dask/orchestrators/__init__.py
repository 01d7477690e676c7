"""Steps on a Dask cluster."""

from zenml.integrations.dask.orchestrators.dask_orchestrator import DaskOrchestrator

__all__ = ["DaskOrchestrator"]
