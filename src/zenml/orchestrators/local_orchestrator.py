"""The orchestrator that needs nothing: steps run one after another in the calling process."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, InProcessExecutor, StepRunner

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.stack import Stack


class LocalOrchestrator(BaseOrchestrator):
    """Runs steps one after another in the calling process."""

    FLAVOR: ClassVar[str] = "local"

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor in this process."""
        return InProcessExecutor(run_step)
