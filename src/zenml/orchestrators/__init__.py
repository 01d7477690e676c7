"""Orchestrators: where steps are executed."""

from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, InProcessExecutor
from zenml.orchestrators.exporter import Exporter, Graph, Node
from zenml.orchestrators.local_orchestrator import LocalOrchestrator

__all__ = [
    "BaseOrchestrator",
    "Executor",
    "Exporter",
    "Graph",
    "InProcessExecutor",
    "LocalOrchestrator",
    "Node",
]
