"""Run control and the execution of steps, written once for every orchestrator."""

from zenml.engine.driver import Past, RunResult, execute

__all__ = ["Past", "RunResult", "execute"]
