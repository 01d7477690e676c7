"""What components have in common that execute steps: orchestrators and step operators."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from zenml.enums import StackComponentType
from zenml.stack.component import StackComponent

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment, ResourceSpec, StepSpec


class ExecutingComponent(StackComponent):
    """Says what the steps that it executes need from outside of it."""

    uses_image: ClassVar[bool] = False
    """Whether steps are executed in containers, of an image that is made before the run."""

    carries_secrets: ClassVar[bool] = False
    """Whether steps are given the secrets that they need, by a channel of the engine: the secrets manager need not reach them."""

    @property
    def image_base(self) -> str | None:
        """The image that those for steps begin with; None for the default."""
        return None

    @property
    def is_here(self) -> bool:
        """Whether the engine is on this machine, so that a container registry of this machine will do for it."""
        return False

    @property
    def docker_host(self) -> str | None:
        """Where the Docker engine is that runs the containers, and so builds their images too; None for the one that DOCKER_HOST names."""
        return None

    def does_without(self, component: StackComponent) -> bool:
        """Whether steps need not reach it: their secrets are carried to them, or an engine on this machine pulls their images."""
        if component.TYPE is StackComponentType.SECRETS_MANAGER:
            return self.carries_secrets
        return component.TYPE is StackComponentType.CONTAINER_REGISTRY and self.is_here

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the steps of the deployment that are executed here can be, before anything is recorded.

        Raises:
            StackValidationError: one cannot: it needs more resources than there are, for instance.
        """

    def own_steps(self, deployment: Deployment) -> list[StepSpec]:
        """The steps of the deployment that are executed here."""
        is_operator = self.TYPE is StackComponentType.STEP_OPERATOR
        return [step for step in deployment.steps if (step.step_operator is not None) is is_operator]

    def needs(self, deployment: Deployment) -> dict[str, ResourceSpec]:
        """What steps that are executed here say that they need, by their names."""
        return {step.name: step.resources for step in self.own_steps(deployment) if step.resources}
