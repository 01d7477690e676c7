"""What a builder of images is."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from zenml.exceptions import ImageError
from zenml.secret.known import redact

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

BuilderName = Literal["docker", "buildah", "podman"]

_SHOWN_LINES = 20
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")

_REFUSALS = (
    "unauthorized",
    "authentication required",
    "no basic auth",
    "denied",
    "invalid username/password",
)


@dataclass(frozen=True)
class RegistryAccess:
    """How to reach the registry that images are pushed to, and that those which they begin with may come from.

    Without credentials, those that the builder keeps itself are used, by `docker login` for instance.
    """

    host: str
    is_local: bool = False
    credentials: tuple[str, str] | None = field(default=None, repr=False)


class ImageBuilder(ABC):
    """Builds images, and pushes them to registries. A context manager: leaving it closes it.

    Credentials of `access` are neither written to a place that stays nor seen in an argument of a process.
    """

    NAME: ClassVar[BuilderName]
    runs_images: ClassVar[bool] = False
    """Whether the engine of this machine that runs containers has what was built, without a registry."""

    def __init__(self, access: RegistryAccess | None = None) -> None:
        self.access = access

    def has_image(self, image: str) -> bool:
        """Whether the image is here already; False where that is unknown."""
        return False

    @abstractmethod
    def build(self, image: str, context: Path, *, network: str | None = None) -> None:
        """Build `image` by the Dockerfile in `context`, an archive (tar).

        `network` is that of the commands which the Dockerfile runs: "host", "none", or None for the builder's default.

        Raises:
            ImageError: it cannot be built; the message shows the last lines.
        """

    @abstractmethod
    def push(self, image: str) -> None:
        """Push `image` to the registry in its name.

        Raises:
            ImageError: it cannot be pushed; the message says why.
        """

    def close(self) -> None:
        """Free what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _build_error(self, image: str, reason: str, lines: Iterable[str]) -> ImageError:
        if "pip install" in reason:
            remedy = (
                "Are the requirements right, and can they be installed beside each other, with this Python? "
                "And does the build reach their index?"
            )
        else:
            remedy = "Mend what the last of these lines tell."
        printed = _COLOUR.sub("", "".join(lines)).splitlines()
        shown = [line for line in printed if line.strip()][-_SHOWN_LINES:]
        return ImageError(
            redact(
                "\n  ".join([f"{self.NAME} cannot build the image {image}: {reason}", *shown]) + f"\n{remedy}"
            )
        )

    def _push_error(self, image: str, reason: str) -> ImageError:
        if any(word in reason.lower() for word in _REFUSALS):
            remedy = (
                "Give the container registry of the stack a user and a password that may push there: "
                "`zenml container-registry update NAME --username=... --password=...`."
            )
        else:
            remedy = "Is the registry running, and is its uri right? `zenml stack check` tells more."
        return ImageError(redact(f"{self.NAME} cannot push the image {image}: {reason.strip()}\n{remedy}"))
