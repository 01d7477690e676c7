"""What orchestrators have in common whose engine runs jobs."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, StepRunner
from zenml.orchestrators.job_executor import JobExecutor

if TYPE_CHECKING:
    from zenml.jobs import JobEngine
    from zenml.model.deployment import Deployment
    from zenml.stack import Stack


class JobOrchestrator(BaseOrchestrator):
    """Executes each attempt of a step as a job of an engine."""

    imports_steps: ClassVar[bool] = True

    @abstractmethod
    def jobs(self) -> JobEngine:
        """What runs the steps of one run. Raises StackValidationError if the engine cannot be reached."""

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor of jobs."""
        image = deployment.images.get(self.TYPE.value) if self.uses_image else None
        return JobExecutor(self.jobs(), deployment, stack, spread=self.spread, image=image)
