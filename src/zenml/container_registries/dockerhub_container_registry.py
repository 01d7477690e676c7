"""Docker Hub."""

from __future__ import annotations

from typing import Annotated, ClassVar

from zenml.container_registries.base_container_registry import NAME, BaseContainerRegistry, matching


class DockerHubContainerRegistry(BaseContainerRegistry):
    """Docker Hub."""

    FLAVOR: ClassVar[str] = "dockerhub"

    uri: Annotated[str, matching(rf"docker\.io(?:/{NAME})+", "docker.io/NAME")]
