"""What step operators have in common whose service starts a machine for each step."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import closing
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from zenml.enums import StackComponentType
from zenml.exceptions import RunError, StackValidationError
from zenml.jobs import JobEngine
from zenml.jobs.secrets import refuse_variables
from zenml.stack import StackValidator
from zenml.stack.capacity import refuse_unmet
from zenml.stack.checks import tried
from zenml.step_operators.job_step_operator import JobStepOperator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zenml.model.deployment import Deployment
    from zenml.stack.capacity import Capacity
    from zenml.stack.checks import Check


class MachineJobs(JobEngine):
    """Jobs of a service that starts a machine for each of them, all of one kind."""

    poll_seconds = 5.0

    @abstractmethod
    def look(self) -> None:
        """See whether the service takes jobs from whoever asks. Raises RunError."""

    @abstractmethod
    def machine(self) -> Capacity:
        """What a machine of that kind has, as the provider says. Raises RunError."""


class MachineStepOperator(JobStepOperator):
    """Executes each step on a machine of its own, which a service starts; the image is pulled from the stack's container registry.

    Such a service has no channel for secrets: steps look theirs up in a secrets manager that they reach.
    """

    uses_image: ClassVar[bool] = True
    remedy: ClassVar[str]
    """How another kind of machine is chosen: "set its `instance_type` to a larger one"."""

    max_jobs: int | None = Field(None, gt=0)
    timeout: float = Field(10, gt=0)

    @property
    def validator(self) -> StackValidator:
        """There is a registry to pull images from, and steps reach every component."""
        return StackValidator({StackComponentType.CONTAINER_REGISTRY}, self._all_reach)

    @abstractmethod
    def jobs(self) -> MachineJobs:
        """Jobs of the service."""

    def check(self) -> Iterator[Check]:
        """Whether the service takes jobs."""
        yield from super().check()
        yield tried("jobs", self._look)

    def check_deployment(self, deployment: Deployment) -> None:
        """See that steps need no variables of this environment, and that a machine has what each of them says that it needs."""
        refuse_variables(self, deployment)
        if not (needs := self.needs(deployment)):
            return
        try:
            with closing(self.jobs()) as engine:
                machine = engine.machine()
        except RunError as error:
            raise StackValidationError(
                f"Steps say what they need ({', '.join(needs)}), but what a machine of the step operator '{self.name}' has cannot be seen: "
                f"{error} Mend that, or let these steps not say it."
            ) from None
        refuse_unmet(
            needs,
            [machine],
            lacking=f"A machine of the step operator '{self.name}' has less than these steps need",
            remedy=f"Let them ask for less, or {self.remedy}.",
        )

    def _look(self) -> None:
        with closing(self.jobs()) as engine:
            engine.look()
