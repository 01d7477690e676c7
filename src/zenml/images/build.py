"""Making the images that a run needs, those of them that are not there yet."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, ImageError, SecretError, UnreadableFileError
from zenml.image_builders.choice import find_builder
from zenml.images.archive import WHEEL, wheel, wheel_digest, write_context
from zenml.images.context import DOCKERIGNORE, Context, context_of
from zenml.logger import get_logger
from zenml.secret.known import known_values
from zenml.stack.packages import normalized

if TYPE_CHECKING:
    from zenml.image_builders import ImageBuilder
    from zenml.model.deployment import Deployment
    from zenml.orchestrators import BaseOrchestrator
    from zenml.stack import Stack
    from zenml.step_operators import BaseStepOperator

logger = get_logger("zenml.images")

DEFAULT_BASE = f"docker.io/library/python:{sys.version_info.major}.{sys.version_info.minor}-slim"
"""What an image begins with where nobody says anything else: this Python."""
FOLDER = "/app"
"""Where the code of the project lies in an image."""

_FORM = 1
"""Counts the forms that images had: a new one gives other tags."""
_NAME = "zenml"
_BASE_NAME = "localhost/zenml-base"
_DOCKERFILE = "Dockerfile"
_PIP = "python -m pip install --no-cache-dir --no-input --disable-pip-version-check --root-user-action=ignore"
_LOCAL_LINE = re.compile(r"(-[rce]\b|--(requirement|constraint|editable)\b|\.|/|file:)")
_USER_IN_URL = re.compile(r"://[^/\s@]+@")
_SURE = 12
"""From so many characters on, a known value that is found somewhere is a secret, and no common word."""


def build_images(deployment: Deployment, stack: Stack) -> dict[str, str]:
    """The images that the run of `deployment` needs, by the type of the component that executes steps in them.

    An image whose name, which is made of all that is in it, is known to the stack's container registry (without one, to the Docker engine
    of this machine) is neither built nor pushed.

    Raises:
        ImageError: one cannot be built or pushed; the message shows the last lines.
        ConfigurationError: the settings cannot be used.
        SecretError: something secret would be in an image.
        StoreError: the container registry does not answer, or refuses us.
    """
    users = _users(deployment, stack)
    if not users:
        return {}
    with ExitStack() as resources:
        project = _Project(deployment, stack, resources)
        built = {user: _Image(project, *user).ensure() for user in dict.fromkeys(users.values())}
    return {type_.value: built[user] for type_, user in users.items()}


def _users(deployment: Deployment, stack: Stack) -> dict[StackComponentType, tuple[str | None, str | None]]:
    """The components that use images: what these are to begin with, and the Docker engine that runs them."""
    users: list[BaseOrchestrator | BaseStepOperator] = [stack.orchestrator]
    if stack.step_operator is not None and any(step.step_operator for step in deployment.steps):
        users.append(stack.step_operator)
    return {user.TYPE: (user.image_base, user.docker_host) for user in users if user.uses_image}


@dataclass(frozen=True)
class _Project:
    """What all images of a run have in common."""

    deployment: Deployment
    stack: Stack
    resources: ExitStack

    @cached_property
    def context(self) -> Context:
        root = Path(self.deployment.source_root)
        local = (component.local_path for component in self.stack.components.values())
        never = {str(Path(path).resolve()) for path in local if path}
        return context_of(root, dockerignore_file=self.deployment.docker.dockerignore_file, never=never)

    @cached_property
    def requirements(self) -> tuple[str, ...]:
        """Lines for pip: of the pipeline, and of the stack but for what runs outside of the images."""
        outside = (
            StackComponentType.ORCHESTRATOR,
            StackComponentType.STEP_OPERATOR,
            StackComponentType.CONTAINER_REGISTRY,
        )
        lines = sorted({*self.deployment.requirements, *self.stack.requirements(outside)})
        _check_requirements(lines)
        return tuple(lines)

    @cached_property
    def dockerfile(self) -> str | None:
        """The text of the user's own."""
        if self.deployment.docker.dockerfile is None:
            return None
        path = Path(self.deployment.source_root, self.deployment.docker.dockerfile)
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFileError(f"The Dockerfile {str(path)!r} cannot be read: {error}.") from None
        _refuse_secrets(text, f"The Dockerfile {str(path)!r}")
        return text


@dataclass(frozen=True)
class _Image:
    project: _Project
    base: str | None
    """What the component that uses it wants it to begin with."""
    docker_host: str | None

    def ensure(self) -> str:
        """Its name, when it is where containers of the run find it."""
        registry, tag = self.project.stack.container_registry, self._tag
        if registry is None:
            name = f"{_NAME}:{tag}"
            if self._builder.has_image(name):
                logger.info("The image %s is unchanged.", name)
            else:
                self._build(name)
            return name
        name = f"{registry.uri}/{_NAME}:{tag}"
        if registry.has_image(name):
            logger.info("The image %s is unchanged.", name)
            return name
        if not self._builder.has_image(name):
            self._build(name)
        logger.info("Pushing the image %s.", name)
        registry.push_image(name, self._builder)
        return name

    @cached_property
    def _builder(self) -> ImageBuilder:
        project, registry = self.project, self.project.stack.container_registry
        access = registry.access if registry else None
        found = find_builder(project.deployment.docker.builder, access, self.docker_host)
        builder = project.resources.enter_context(found)
        if registry is None and not builder.runs_images:
            raise ImageError(
                f"What {builder.NAME} builds stays where nothing else finds it: the stack '{project.stack.name}' needs a container "
                "registry, or a Docker engine as builder."
            )
        return builder

    @cached_property
    def _own_base(self) -> str | None:
        """The image of the user's own Dockerfile."""
        text = self.project.dockerfile
        return None if text is None else f"{_BASE_NAME}:{_digest(text, self.project.context.digest)}"

    @cached_property
    def _dockerfile(self) -> str:
        spec = self.project.deployment.docker
        base = self._own_base or spec.base_image or self.base or DEFAULT_BASE
        for name, value in spec.environment.items():
            _refuse_secrets(value, f"The environment variable {name} in the docker settings")
        return dockerfile(base, apt_packages=spec.apt_packages, environment=spec.environment)

    @cached_property
    def _requirements(self) -> str:
        return "".join(f"{line}\n" for line in self.project.requirements)

    @property
    def _tag(self) -> str:
        return _digest(
            f"form {_FORM}", self._dockerfile, self._requirements, wheel_digest(), self.project.context.digest
        )

    def _build(self, name: str) -> None:
        builder, context = self._builder, self.project.context
        network = self.project.deployment.docker.build_network
        logger.info(
            "Building the image %s with %s, of %d files in %s.",
            name,
            builder.NAME,
            len(context.files),
            context.root,
        )
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder) / "context.tar"
            if self._own_base and self.project.dockerfile and not builder.has_image(self._own_base):
                # In the place of the project's files of these names; its instructions see neither.
                texts = {
                    _DOCKERFILE: self.project.dockerfile.encode(),
                    DOCKERIGNORE: f"{_DOCKERFILE}\n{DOCKERIGNORE}\n".encode(),
                }
                write_context(archive, texts, context)
                builder.build(self._own_base, archive, network=network)
            texts = {
                _DOCKERFILE: self._dockerfile.encode(),
                "requirements.txt": self._requirements.encode(),
                WHEEL: wheel(),
            }
            write_context(archive, texts, context, folder="code/")
            builder.build(name, archive, network=network)


def dockerfile(
    base: str, *, apt_packages: Iterable[str] = (), environment: Mapping[str, str] | None = None
) -> str:
    """The Dockerfile of an image: what changes seldom comes first, so that a change of the code makes one small layer anew.

    This framework comes from its own wheel, in the same call of pip as the requirements: no index is asked for it.
    """
    lines = [f"FROM {base}"]
    lines += [f"ENV {name}={_quoted(value)}" for name, value in sorted((environment or {}).items())]
    if packages := " ".join(apt_packages):
        lines.append(
            "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "
            f"{packages} && rm -rf /var/lib/apt/lists/*"
        )
    lines += [
        f"COPY requirements.txt {WHEEL} /opt/zenml/",
        f"RUN {_PIP} /opt/zenml/{WHEEL} -r /opt/zenml/requirements.txt",
        f"WORKDIR {FOLDER}",
        f"ENV ZENML_SOURCE_ROOT={FOLDER}",
        "ENTRYPOINT []",
        f"COPY code/ {FOLDER}/",
    ]
    return "".join(f"{line}\n" for line in lines)


def _check_requirements(lines: Iterable[str]) -> None:
    for line in lines:
        if normalized(line) == _NAME:
            raise ConfigurationError(
                f"The requirement {line!r} names this framework itself: images have the version that is running. Take it away."
            )
        if _LOCAL_LINE.match(line):
            raise ConfigurationError(
                f"The requirement {line!r} refers to a file of this machine, which is not there when an image is built. List what it "
                "stands for, or install it in a Dockerfile of your own: DockerSettings(dockerfile=...)."
            )
        if _USER_IN_URL.search(line):
            raise SecretError(
                f"The requirement {_USER_IN_URL.sub('://***@', line)!r} holds a user or a password, which everybody could read in the "
                "image. Use an index that the build reaches without."
            )
        _refuse_secrets(line, "A requirement")


def _refuse_secrets(text: str, what: str) -> None:
    if any(len(value) >= _SURE and value in text for value in known_values()):
        raise SecretError(
            f"{what} holds the value of a secret, which everybody could read in the image. Give it to the steps that need it, as a "
            "parameter of the type SecretStr."
        )


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
