"""Which builder builds."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from zenml.exceptions import ConfigurationError, ImageError, nearest
from zenml.image_builders.command_builder import BuildahBuilder, PodmanBuilder
from zenml.image_builders.docker_builder import DockerBuilder

if TYPE_CHECKING:
    from zenml.image_builders.base_image_builder import ImageBuilder, RegistryAccess

VARIABLE = "ZENML_IMAGE_BUILDER"

_BUILDERS: dict[str, type[ImageBuilder]] = {
    class_.NAME: class_ for class_ in (DockerBuilder, BuildahBuilder, PodmanBuilder)
}


def find_builder(name: str | None = None, access: RegistryAccess | None = None) -> ImageBuilder:
    """The builder called `name`, else by ZENML_IMAGE_BUILDER, else the first that works here: docker, buildah, podman.

    Raises:
        ImageError: it cannot be used here, or none can; the message says why.
        ConfigurationError: there is no builder of that name.
    """
    wanted = name or os.environ.get(VARIABLE)
    if wanted:
        if wanted not in _BUILDERS:
            raise ConfigurationError(f"There is no image builder {wanted!r}.{nearest(wanted, _BUILDERS)}")
        return _BUILDERS[wanted](access)
    reasons = []
    for class_ in _BUILDERS.values():
        try:
            return class_(access)
        except ImageError as error:
            reasons.append(str(error))
    raise ImageError("\n  ".join(["No image can be built here:", *reasons]))
