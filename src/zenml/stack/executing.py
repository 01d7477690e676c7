"""What components have in common that execute steps: orchestrators and step operators."""

from __future__ import annotations

from typing import ClassVar

from zenml.stack.component import StackComponent


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
    def docker_host(self) -> str | None:
        """Where the Docker engine is that runs the containers, and so builds their images too; None for the one that DOCKER_HOST names."""
        return None
