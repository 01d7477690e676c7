"""Builders that are programs: buildah (https://buildah.io) and podman (https://podman.io), which need no engine."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from zenml.exceptions import ImageError
from zenml.image_builders.base_image_builder import BuilderName, ImageBuilder, RegistryAccess
from zenml.logger import get_logger

logger = get_logger("zenml.images")

_KEPT_LINES = 200


class CommandBuilder(ImageBuilder):
    """A program that takes the arguments that buildah and podman have in common.

    Raises:
        ImageError: (at instantiation) it is not installed.
    """

    def __init__(self, access: RegistryAccess | None = None) -> None:
        super().__init__(access)
        if shutil.which(self.NAME) is None:
            raise ImageError(
                f"There is no program {self.NAME!r} to build images with: install it, Debian's package is called {self.NAME!r} as well."
            )

    def build(self, image: str, context: Path, *, network: str | None = None) -> None:
        """Build it. Raises ImageError."""
        with tempfile.TemporaryDirectory() as folder, self._options() as options:
            with tarfile.open(context) as archive:
                archive.extractall(folder, filter="fully_trusted")  # noqa: S202 - this process has made it
            chosen = [f"--network={network}"] if network else []
            command = ["build", "--layers", "--format=docker", *options, *chosen, "--tag", image]
            code, lines = self._run([*command, "--file", f"{folder}/Dockerfile", folder])
            if code != 0:
                reason = next((line for line in reversed(lines) if "rror" in line), f"exit code {code}\n")
                raise self._build_error(image, reason.strip(), lines)

    def push(self, image: str) -> None:
        """Push it. Raises ImageError."""
        with self._options() as options:
            code, lines = self._run(["push", *options, image, f"docker://{image}"])
            if code != 0:
                raise self._push_error(image, "".join(list(lines)[-3:]))

    def _run(self, arguments: Sequence[str]) -> tuple[int, Sequence[str]]:
        """The exit code, and the last lines of what was printed."""
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        with subprocess.Popen(
            [self.NAME, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as process:
            try:
                for line in process.stdout or ():
                    lines.append(line)
                    logger.debug("%s", line.rstrip())
            except BaseException:
                process.terminate()
                raise
        return process.returncode, lines

    @contextmanager
    def _options(self) -> Iterator[list[str]]:
        """How to reach the registry, as arguments. The password is in a file that nobody else can read, for as long as this lasts."""
        access = self.access
        if access is None:
            yield []
            return
        # Plain HTTP, as the Docker engine speaks it with the registries of its own machine.
        options = ["--tls-verify=false"] if access.is_local else []
        if access.credentials is None:
            yield options
            return
        logins = _own_logins()
        name = "https://index.docker.io/v1/" if access.host == "docker.io" else access.host
        user = base64.b64encode(":".join(access.credentials).encode()).decode()
        logins["auths"] = {**logins.get("auths", {}), name: {"auth": user}}
        with tempfile.TemporaryDirectory() as folder:  # for this user alone
            file = Path(folder) / "auth.json"
            file.write_text(json.dumps(logins), encoding="utf-8")
            yield [*options, f"--authfile={file}"]


class BuildahBuilder(CommandBuilder):
    """Buildah."""

    NAME: ClassVar[BuilderName] = "buildah"


class PodmanBuilder(CommandBuilder):
    """Podman."""

    NAME: ClassVar[BuilderName] = "podman"


def _own_logins() -> dict[str, dict[str, object]]:
    """Those that the user has made with these programs, or with docker."""
    for file in (
        os.environ.get("REGISTRY_AUTH_FILE", ""),
        f"{os.environ.get('XDG_RUNTIME_DIR', '')}/containers/auth.json",
        Path.home() / ".docker" / "config.json",
    ):
        try:
            found = json.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(found, dict):
            return found
    return {}
