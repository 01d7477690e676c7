"""Which builder builds."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from zenml.exceptions import ConfigurationError, ImageError, nearest
from zenml.image_builders.command_builder import BuildahBuilder, PodmanBuilder
from zenml.image_builders.docker_builder import DockerBuilder

if TYPE_CHECKING:
    from zenml.image_builders.base_image_builder import ImageBuilder, RegistryAccess

VARIABLE = "ZENML_IMAGE_BUILDER"


def find_builder(
    name: str | None = None, access: RegistryAccess | None = None, docker_host: str | None = None
) -> ImageBuilder:
    """The builder called `name`, else by ZENML_IMAGE_BUILDER, else the first that works here: docker, buildah, podman.

    `docker_host` is where the Docker engine is, by default what DOCKER_HOST says.

    Raises:
        ImageError: it cannot be used here, or none can; the message says why.
        ConfigurationError: there is no builder of that name.
    """
    wanted = name or os.environ.get(VARIABLE)
    makers: dict[str, Callable[[], ImageBuilder]] = {
        "docker": lambda: DockerBuilder(access, docker_host),
        "buildah": lambda: BuildahBuilder(access),
        "podman": lambda: PodmanBuilder(access),
    }
    if wanted:
        if wanted not in makers:
            raise ConfigurationError(f"There is no image builder {wanted!r}.{nearest(wanted, makers)}")
        return makers[wanted]()
    reasons = []
    for make in makers.values():
        try:
            return make()
        except ImageError as error:
            reasons.append(str(error))
    raise ImageError("\n  ".join(["No image can be built here:", *reasons]))
