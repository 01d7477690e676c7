"""The Docker engine, by its API (https://docs.docker.com/reference/api/engine/)."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zenml.exceptions import ImageError
from zenml.image_builders.base_image_builder import BuilderName, ImageBuilder, RegistryAccess
from zenml.logger import get_logger

if TYPE_CHECKING:
    from docker import DockerClient

logger = get_logger("zenml.images")

_PATIENCE = 5.0
_KEPT_PIECES = 200
_DEFAULT_HOST = "unix:///var/run/docker.sock"


class DockerBuilder(ImageBuilder):
    """The engine at `host`, else at DOCKER_HOST, else the one of this machine.

    Raises:
        ImageError: (at instantiation) no engine answers, or the library for it is not installed.
    """

    NAME: ClassVar[BuilderName] = "docker"
    runs_images: ClassVar[bool] = True

    def __init__(self, access: RegistryAccess | None = None, host: str | None = None) -> None:
        super().__init__(access)
        self._client = _connect(host)

    def has_image(self, image: str) -> bool:
        """Whether the engine has it."""
        from docker.errors import DockerException, ImageNotFound

        try:
            self._client.api.inspect_image(image)
        except ImageNotFound:
            return False
        except DockerException as error:
            raise ImageError(f"The Docker engine cannot be asked for the image {image}: {error}") from None
        return True

    def build(self, image: str, context: Path, *, network: str | None = None) -> None:
        """Build it with the engine's classic builder. Raises ImageError."""
        from docker.errors import DockerException

        printed: deque[str] = deque(maxlen=_KEPT_PIECES)
        reason = ""
        try:
            self._log_in()
            with context.open("rb") as archive:
                answers = self._client.api.build(
                    fileobj=archive,
                    custom_context=True,
                    tag=image,
                    rm=True,
                    forcerm=True,
                    network_mode=network,
                    decode=True,
                )
                for answer in answers:
                    reason = reason or str(answer.get("error", ""))
                    printed.append(str(answer.get("stream", "")))
                    logger.debug("%s", printed[-1].rstrip())
        except (DockerException, OSError) as error:
            reason = str(error)
        if reason:
            raise self._build_error(image, reason, printed)

    def push(self, image: str) -> None:
        """Push it. Raises ImageError."""
        from docker.errors import DockerException

        login: dict[str, Any] = {}
        if self.access and self.access.credentials:
            username, password = self.access.credentials
            login = {"auth_config": {"username": username, "password": password}}
        reason = ""
        try:
            for answer in self._client.api.push(image, stream=True, decode=True, **login):
                reason = reason or str(answer.get("error", ""))
        except (DockerException, OSError) as error:
            reason = str(error)
        if reason:
            raise self._push_error(image, reason)

    def close(self) -> None:
        """Close the connections to the engine."""
        self._client.close()

    def _log_in(self) -> None:
        """Let the build take images from the registry. The client keeps this in memory alone."""
        if self.access and self.access.credentials:
            username, password = self.access.credentials
            registry = None if self.access.host == "docker.io" else self.access.host
            self._client.login(username, password, registry=registry, reauth=True)


def _connect(host: str | None) -> DockerClient:
    try:
        import docker
    except ImportError:
        raise ImageError(
            "The Docker engine is spoken to by the library 'docker', which is not installed: install it with `pip install 'docker>=7.1'`."
        ) from None
    from docker.errors import DockerException

    client = None
    try:
        environment = {**os.environ, "DOCKER_HOST": host} if host else None
        client = docker.from_env(timeout=_PATIENCE, environment=environment)
        client.ping()
    except (DockerException, OSError, ValueError) as error:
        if client is not None:
            client.close()
        place = host or os.environ.get("DOCKER_HOST", _DEFAULT_HOST)
        raise ImageError(
            f"No Docker engine answers at {place}: {error}. Start it, or say where it is by the environment variable DOCKER_HOST."
        ) from None
    client.api.timeout = None  # a command of a Dockerfile may print nothing for long
    return client
