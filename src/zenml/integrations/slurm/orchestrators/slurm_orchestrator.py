"""An orchestrator that executes steps as batch jobs of Slurm."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zenml.exceptions import StackValidationError
from zenml.integrations.slurm.slurm_component import SlurmComponent
from zenml.orchestrators.job_orchestrator import JobOrchestrator

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment


class SlurmOrchestrator(SlurmComponent, JobOrchestrator):
    """Submits each attempt of a step when its inputs are there; see `SlurmComponent` for the fields.

    `Resources(cpu=, memory=, gpu=)` of a step are the job's --cpus-per-task, --mem and --gres=gpu; tokens of other kinds are licenses of
    Slurm.
    """

    FLAVOR: ClassVar[str] = "slurm"
    carries_secrets: ClassVar[bool] = True

    def check_deployment(self, deployment: Deployment) -> None:
        """See that for each step some node has what it needs."""
        nodes = self.nodes()
        largest_first = sorted(
            nodes.capacities.values(),
            key=lambda node: (len(node.devices), node.cpus, node.memory),
            reverse=True,
        )
        lacking = {
            step.name: min((node.lacks([step.resources]) for node in largest_first), key=len)
            for step in deployment.steps
            if step.resources is not None and step.step_operator is None
        }
        reasons = [f"  the step '{name}' needs {one}" for name, lacks in lacking.items() for one in lacks]
        if reasons:
            raise StackValidationError(
                f"No node of the partition '{nodes.partition}' of the orchestrator '{self.name}' has what these steps need:\n"
                + "\n".join(reasons)
                + "\nLet them ask for less, or choose another partition: `sinfo --Node --long` lists what nodes have."
            )
