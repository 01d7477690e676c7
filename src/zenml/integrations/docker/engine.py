"""What orchestrator and step operator have in common: which engine, how containers are made there, and whether that works."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import docker
from docker.errors import DockerException
from docker.models.containers import RUN_CREATE_KWARGS, RUN_HOST_CONFIG_KWARGS
from pydantic import Field, field_validator

from zenml.enums import Reach
from zenml.exceptions import StackValidationError, nearest
from zenml.integrations.docker.jobs import DockerJobs
from zenml.stack import capacity
from zenml.stack.capacity import Capacity
from zenml.stack.checks import Check, check_clock, failure, tried
from zenml.stack.executing import ExecutingComponent

if TYPE_CHECKING:
    from zenml.jobs import JobEngine
    from zenml.model.deployment import Deployment

_CONNECT = 10.0
"""Seconds for which an answer of the engine is waited for."""

_DEFAULT_HOST = "unix:///var/run/docker.sock"

_OURS = frozenset(
    {
        *(
            "image",
            "command",
            "entrypoint",
            "name",
            "labels",
            "environment",
            "detach",
            "auto_remove",
            "restart_policy",
        ),
        *(
            "user",
            "working_dir",
            "tty",
            "stdin_open",
            "read_only",
            "network_mode",
            "network_disabled",
            "mounts",
        ),
        *(
            "nano_cpus",
            "mem_limit",
            "memswap_limit",
            "cpu_quota",
            "cpu_period",
            "device_requests",
            "use_config_proxy",
            "version",
        ),
    }
)
"""Arguments of containers that are decided here, from fields and from what steps need."""

_YOURS = sorted({*RUN_CREATE_KWARGS, *RUN_HOST_CONFIG_KWARGS} - _OURS)


class DockerEngine(ExecutingComponent):
    """A Docker engine, and how containers are made there.

    Args:
        host: where the engine is, as in "unix:///run/user/1000/docker.sock" or "ssh://me@machine"; by default what DOCKER_HOST says,
            else this machine's. A certificate for "tcp://" is found by DOCKER_CERT_PATH, as Docker's own tools do.
        custom_docker_base_image_name: the image that those for steps begin with.
        network: the network of containers: "host", "none", "bridge", or the name of one that is there already; by default that of the host
            on a Linux machine, since what listens on its loopback can be reached then, else the engine's own default.
        volumes: what else is mounted, as in "/data:/data:ro".
        user: the number of the user that steps run as, or UID:GID; by default the calling user where the engine is on this machine, so that
            what steps write belongs to them, else that of the image.
        run_args: further arguments of containers, by the names that the Docker SDK for Python uses: {"shm_size": "1g"}.
        max_parallel_steps: how many containers may run at once; by default as many as the engine's machine has cores.
        gpus: how many devices the machine has; by default those that `nvidia-smi` lists here, on another machine none.
        resources: tokens of further kinds, by name.
    """

    host: str | None = None
    custom_docker_base_image_name: str | None = None
    network: str | None = None
    volumes: list[str] = Field(default_factory=list)
    user: Annotated[str, Field(pattern=r"^\d+(:\d+)?$")] | None = None
    run_args: dict[str, Any] = Field(default_factory=dict)
    max_parallel_steps: int | None = Field(default=None, ge=1)
    gpus: int | None = Field(default=None, ge=0)
    resources: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)

    @field_validator("run_args")
    @classmethod
    def _check_run_args(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name in given:
            if name in _OURS:
                raise ValueError(
                    f"{name!r} is decided by steps, by the pipeline's docker settings and by other fields"
                )
            if name not in _YOURS:
                raise ValueError(f"a container has no argument {name!r}.{nearest(name, _YOURS)}")
        return given

    @field_validator("volumes")
    @classmethod
    def _check_volumes(cls, given: list[str]) -> list[str]:
        for volume in given:
            if volume.count(":") not in (1, 2) or not all(volume.split(":")):
                raise ValueError(f"{volume!r} is no volume: expected SOURCE:TARGET or SOURCE:TARGET:ro")
        return given

    @property
    def image_base(self) -> str | None:
        """The image that those for steps begin with."""
        return self.custom_docker_base_image_name

    @property
    def docker_host(self) -> str | None:
        """The field `host`: images that no registry keeps are built where they run."""
        return self.host

    @property
    def place(self) -> str:
        """Where the engine is."""
        return self.host or os.environ.get("DOCKER_HOST") or _DEFAULT_HOST

    @property
    def is_here(self) -> bool:
        """Whether the engine is on this machine. A tunnel may begin on loopback: that alone says nothing."""
        return self.place.startswith(("unix:", "npipe:", "/"))

    @property
    def spread(self) -> Reach:
        """This machine, or another one."""
        return Reach.HOST if self.is_here else Reach.NETWORK

    @property
    def network_mode(self) -> str | None:
        """The network of containers; None for the engine's default."""
        return self.network or ("host" if self.is_here and sys.platform == "linux" else None)

    def capacity(self, info: Mapping[str, Any]) -> Capacity:
        """What the machine has, of which the engine tells cores and memory."""
        devices = capacity.devices() if self.gpus is None and self.is_here else ()
        devices = devices or tuple(map(str, range(self.gpus or 0)))
        return Capacity(info["NCPU"], info["MemTotal"], devices, self.resources)

    def client(self) -> docker.DockerClient:
        """A connection to the engine.

        Raises:
            StackValidationError: it does not answer.
        """
        environment = {**os.environ, "DOCKER_HOST": self.place}
        try:
            return docker.from_env(
                environment=environment, timeout=_CONNECT, use_ssh_client=self.place.startswith("ssh:")
            )
        except (DockerException, OSError, ValueError) as error:
            raise StackValidationError(
                f"The Docker engine at {self.place} of the {self.TYPE.display} '{self.name}' does not answer: {error}. Start it, or say "
                "where it is: by the field `host`, or the environment variable DOCKER_HOST."
            ) from None

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the engine answers, and that its machine has what each step needs."""
        with closing(self.client()) as client:
            there = self.capacity(client.info())
        capacity.refuse_unmet(
            self.needs(deployment),
            [there],
            lacking=f"The machine of the Docker engine at {self.place} has less than these steps need",
            remedy="Let them ask for less, or say what there is in the fields gpus and resources of the "
            f"{self.TYPE.display} '{self.name}'.",
        )

    def jobs(self) -> JobEngine:
        """The containers of one run. Raises StackValidationError if the engine cannot be reached."""
        return DockerJobs(self.client(), self)

    def check(self) -> Iterator[Check]:
        """Whether the engine answers and its interface is known here, whether clocks agree, and whether the image is there."""
        yield from super().check()
        try:
            client = self.client()
        except StackValidationError as error:
            yield failure("reachable", error)
            return
        with closing(client):
            before = time.time()
            info = client.info()
            yield Check("reachable", message=f"{self.place}, {info['OperatingSystem']}")
            yield Check("version", message=f"Docker {info['ServerVersion']}, API {client.api.api_version}")
            yield check_clock(_seconds(info["SystemTime"]), before, time.time())
            if image := self.custom_docker_base_image_name:
                yield tried(
                    "image",
                    lambda: _check_image(client, image),
                    "Is its name right? Log in with `docker login` where it is kept.",
                )


def _seconds(told: str) -> float:
    """A time as engines tell it, which has more digits than Python reads: "2026-11-21T10:35:46.123456789Z"."""
    whole, _, rest = told.partition(".")
    zone = rest.lstrip("0123456789") or "Z"
    return datetime.fromisoformat(whole + zone.replace("Z", "+00:00")).timestamp()


def _check_image(client: docker.DockerClient, image: str) -> str:
    """See that the image is there, or where it would be pulled from."""
    try:
        client.api.inspect_image(image)
    except docker.errors.ImageNotFound:
        client.api.inspect_distribution(image)
        return f"{image} can be pulled"
    return f"{image} is there"
