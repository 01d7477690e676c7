"""What a user says of the images that a pipeline's steps run in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from zenml.image_builders import BuilderName
from zenml.model.deployment import DockerSpec
from zenml.secret.references import has_reference
from zenml.stack.component import is_secret_name

_IMAGE = re.compile(r"[A-Za-z0-9][^\s\"'\\$]*")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?:=[^\s;&|$`'\"\\]+)?")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class DockerSettings(BaseModel):
    """How the images of a pipeline are made, for orchestrators and step operators that execute steps in containers.

    Paths are relative to the source root: the repository, else the folder of the program.

    Args:
        base_image: what the image begins with; by default what the component says, else Debian's image of this Python.
        dockerfile: a Dockerfile of your own that makes the base image, with the source root as its context.
        dockerignore_file: what to leave out of the image, in the form of a .dockerignore.
        requirements: pip requirements: a list, or the path of a file.
        required_integrations: names of integrations whose packages the steps need.
        apt_packages: Debian packages.
        environment: environment variables. They can be read by everybody who has the image: nothing secret.
        builder: "docker", "buildah" or "podman"; by default what ZENML_IMAGE_BUILDER says, else the first that works here.
        build_network: network of the commands that the build runs, "host" for instance; by default the builder's own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    base_image: str | None = None
    dockerfile: str | None = None
    dockerignore_file: str | None = None
    requirements: str | Path | Sequence[str] | None = None
    required_integrations: Sequence[str] = ()
    apt_packages: Sequence[str] = ()
    environment: Mapping[str, str] = Field(default_factory=dict)
    builder: BuilderName | None = None
    build_network: Literal["host", "none", "bridge"] | None = None

    @field_validator("base_image")
    @classmethod
    def _check_base_image(cls, name: str | None) -> str | None:
        if name is not None and not _IMAGE.fullmatch(name):
            raise ValueError(f"{name!r} is no name of an image: expected [HOST/]NAME[:TAG]")
        return name

    @field_validator("apt_packages")
    @classmethod
    def _check_packages(cls, names: Sequence[str]) -> Sequence[str]:
        for name in names:
            if not _PACKAGE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of a Debian package: expected NAME or NAME=VERSION")
        return names

    @field_validator("environment")
    @classmethod
    def _check_environment(cls, variables: Mapping[str, str]) -> Mapping[str, str]:
        instead = "It would be in the image: give it to the steps that need it, as a parameter of the type SecretStr"
        for name, value in variables.items():
            if not _VARIABLE.fullmatch(name):
                raise ValueError(f"{name!r} is no name of an environment variable")
            if has_reference(value):
                raise ValueError(f"the variable {name} refers to a secret, {value}. {instead}")
            if is_secret_name(name.lower()):
                raise ValueError(f"the variable {name} is called like a secret. {instead}")
            if not value.isprintable():
                raise ValueError(f"the variable {name} has a line break or another control character")
        return variables

    def spec(self) -> DockerSpec:
        """The settings as plain data; the requirements are those of the pipeline."""
        return DockerSpec(
            base_image=self.base_image,
            dockerfile=self.dockerfile,
            dockerignore_file=self.dockerignore_file,
            apt_packages=tuple(sorted(set(self.apt_packages))),
            environment=dict(self.environment),
            builder=self.builder,
            build_network=self.build_network,
        )
