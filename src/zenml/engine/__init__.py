"""Run control and the execution of steps, written once for every orchestrator."""

from zenml.engine.control import Past
from zenml.engine.driver import RunResult, execute

__all__ = ["Past", "RunResult", "execute"]
