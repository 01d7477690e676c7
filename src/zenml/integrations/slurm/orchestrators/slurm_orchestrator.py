"""An orchestrator that executes steps as batch jobs of Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import model_validator

from zenml.integrations.slurm.orchestrators.slurm_exporter import SlurmExporter
from zenml.integrations.slurm.slurm_component import SlurmComponent
from zenml.orchestrators.exporter import refuse_mapped_steps
from zenml.orchestrators.job_orchestrator import JobOrchestrator

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.model.deployment import Deployment
    from zenml.orchestrators import Exporter


class SlurmOrchestrator(SlurmComponent, JobOrchestrator):
    """Submits each attempt of a step when its inputs are there, or the whole graph at once; see `SlurmComponent` for other fields.

    `Resources(cpu=, memory=, gpu=)` of a step are the job's --cpus-per-task, --mem and --gres=gpu; tokens of other kinds are licenses of
    Slurm.

    Args:
        submission: "steps" submits a job when its inputs are there; "graph" all jobs at the beginning, which depend on each other.
        synchronous: whether `run` waits for the end; without, the submission must be "graph".
    """

    FLAVOR: ClassVar[str] = "slurm"
    carries_secrets: ClassVar[bool] = True

    submission: Literal["steps", "graph"] = "steps"
    synchronous: bool = True

    @model_validator(mode="after")
    def _check_submission(self) -> Self:
        if not self.synchronous and self.submission == "steps":
            raise ValueError(
                "synchronous is False, but then nobody would submit the next step: set submission to 'graph'"
            )
        return self

    def exporter(self, deployment: Deployment) -> Exporter | None:
        """What submits the whole graph, if that is wanted."""
        return SlurmExporter(self, synchronous=self.synchronous) if self.submission == "graph" else None

    def check_deployment(self, deployment: Deployment) -> None:
        """See also that no step is mapped, where all jobs are submitted at the beginning."""
        if self.submission == "graph":
            refuse_mapped_steps(
                deployment,
                self,
                "its `submission` is 'graph': the jobs of a run are submitted before it begins",
            )
        super().check_deployment(deployment)
