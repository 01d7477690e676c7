"""Run control and the execution of steps, written once for every orchestrator."""

from zenml.engine.driver import RunResult, execute

__all__ = ["RunResult", "execute"]
