"""Orchestrators: where steps are executed."""

from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, InProcessExecutor
from zenml.orchestrators.local_orchestrator import LocalOrchestrator

__all__ = ["BaseOrchestrator", "Executor", "InProcessExecutor", "LocalOrchestrator"]
