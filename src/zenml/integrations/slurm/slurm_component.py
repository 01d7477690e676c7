"""What the components of Slurm have in common: how they are configured, and what is checked of them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, field_validator

from zenml.config.global_config import GlobalConfiguration
from zenml.enums import Reach
from zenml.exceptions import RunError, StackValidationError
from zenml.integrations.slurm import slurm_programs
from zenml.integrations.slurm.slurm_jobs import SlurmJobs
from zenml.stack.capacity import refuse_unmet
from zenml.stack.checks import Check, tried
from zenml.stack.executing import ExecutingComponent

if TYPE_CHECKING:
    from zenml.integrations.slurm.slurm_programs import Nodes
    from zenml.model.deployment import Deployment

_OWN = re.compile(
    r"-[AcdDeJMopqtW]|--(account|array|clusters|comment|cpus-per-task|dependency|error|export|gres|job-name|licenses|mem|open-mode|output|"
    r"parsable|partition|qos|test-only|time|wait|wrap)\b"
)
"""Options of sbatch that are fields here, come from a step's resources, or would break how a job is watched."""

_TIME = re.compile(r"\d+|(\d+-)?\d+(:\d+){1,2}|\d+-\d+")


class SlurmComponent(ExecutingComponent):
    """Executes steps as batch jobs of a Slurm cluster, submitted from this machine.

    The nodes must see the folders of this machine under the same paths: `path`, those of the stack's local components, the user's code and
    `python`.

    Args:
        partition: where jobs are submitted; by default, Slurm's default partition.
        account: whom they are charged to.
        qos: their quality of service.
        time_limit: after which Slurm ends a job, as sbatch takes it: minutes, or "hours:minutes:seconds", or "days-hours".
        options: further options of sbatch, as in ["--constraint=avx512", "--exclusive"].
        python: the interpreter on the nodes; by default, that of this process.
        setup: lines of shell before a step's own command, as in ["module load cuda/12"].
        path: the folder for scripts and logs of jobs, on a file system that all nodes share; by default, in the global configuration's.
        max_jobs: how many jobs of a run Slurm is given at once; by default, all that are ready.
        poll_seconds: the time between two questions to Slurm's controller, by each of which all jobs of a run are asked for.
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    time_limit: str | None = None
    options: list[str] = Field(default_factory=list)
    python: str | None = None
    setup: list[str] = Field(default_factory=list)
    path: str = ""
    max_jobs: int | None = Field(default=None, ge=1)
    poll_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 5.0

    @field_validator("options")
    @classmethod
    def _check_options(cls, value: list[str]) -> list[str]:
        for option in value:
            if not option.startswith("-") or _OWN.match(option):
                raise ValueError(
                    f"{option!r} cannot be a further option of sbatch: expected one as '--constraint=avx512', that neither has a field of "
                    "its own nor comes from the resources of a step"
                )
        return value

    @field_validator("time_limit", mode="before")
    @classmethod
    def _check_time(cls, value: object) -> object:
        if value is None:
            return None
        if not _TIME.fullmatch(str(value)):
            raise ValueError(
                f"{value!r} is no time limit: expected minutes, 'hours:minutes:seconds' or 'days-hours'"
            )
        return str(value)

    @property
    def local_path(self) -> str:
        """The folder for scripts and logs of jobs."""
        if self.path:
            return str(Path(self.path).expanduser().absolute())
        return str(GlobalConfiguration().config_directory / "local_stores" / str(self.uuid))

    @property
    def reach(self) -> Reach:
        """Steps make no use of the component itself."""
        return Reach.NETWORK

    @property
    def spread(self) -> Reach:
        """Nodes of a cluster see the same folders."""
        return Reach.HOST

    @property
    def interpreter(self) -> str:
        """The Python of jobs."""
        return self.python or sys.executable

    @property
    def submission_options(self) -> list[str]:
        """What sbatch is told for every job. That one is begun again is the engine's decision, not Slurm's."""
        given = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "time": self.time_limit,
        }
        chosen = [f"--{name}={value}" for name, value in given.items() if value is not None]
        return ["--no-requeue", *chosen, *self.options]

    def check(self) -> Iterator[Check]:
        """Whether there is a cluster, with nodes that take jobs, and whether it would take ours."""
        yield from super().check()
        yield tried("cluster", self._nodes_found)
        yield tried("submission", lambda: slurm_programs.check_submission(self.submission_options))

    def check_deployment(self, deployment: Deployment) -> None:
        """See that for each step some node has what it needs."""
        nodes = self.nodes()
        refuse_unmet(
            self.needs(deployment),
            list(nodes.capacities.values()),
            lacking=f"No node of the partition '{nodes.partition}' of the {self.TYPE.display} '{self.name}' has what these steps need",
            remedy="Let them ask for less, or choose another partition: `sinfo --Node --long` lists what nodes have.",
        )

    def jobs(self) -> SlurmJobs:
        """What runs the steps of one run."""
        self.nodes()
        return SlurmJobs(self)

    def nodes(self) -> Nodes:
        """The nodes that jobs may run on.

        Raises:
            StackValidationError: Slurm does not answer, or does not know the partition.
        """
        try:
            found = slurm_programs.nodes(self.partition)
        except RunError as error:
            raise StackValidationError(
                f"The {self.TYPE.display} '{self.name}' cannot be used. {error}"
            ) from error
        if found is None:
            what = (
                f"has no partition {self.partition!r}"
                if self.partition
                else "has no default partition, and the component names none"
            )
            raise StackValidationError(
                f"The {self.TYPE.display} '{self.name}' cannot be used: the Slurm cluster {what}. `sinfo` lists those that there are."
            )
        return found

    def _nodes_found(self) -> str:
        nodes = self.nodes()
        count, down = len(nodes.capacities), len(nodes.down)
        if count == down:
            raise StackValidationError(
                f"No node of the partition '{nodes.partition}' takes jobs now: `sinfo --list-reasons` tells why."
            )
        return f"{slurm_programs.version()}, partition '{nodes.partition}': {count - down} of {count} nodes take jobs"
