"""A registry on this machine, started by `zenml stack up`."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import field_validator

from zenml.config.global_config import GlobalConfiguration
from zenml.container_registries.base_container_registry import NAME, BaseContainerRegistry, matching
from zenml.exceptions import ProvisioningError
from zenml.services import (
    HTTPEndpointHealthMonitor,
    HTTPEndpointHealthMonitorConfig,
    LocalDaemonService,
    LocalDaemonServiceConfig,
    LocalDaemonServiceEndpoint,
    LocalDaemonServiceEndpointConfig,
    ServiceEndpointProtocol,
    ServiceType,
)

_PROGRAMS = ("docker-registry", "registry")
_PATIENCE = 30.0


class LocalRegistryServer(LocalDaemonService):
    """The process: the program of the CNCF's registry, https://distribution.github.io/distribution."""

    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(
        type="container-registry", flavor="local", name="local container registry"
    )

    def run(self) -> None:
        """Become the registry."""
        assert self.endpoint is not None  # noqa: S101 - the registry gives one
        folder = Path(self.status.runtime_path or "")
        settings = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "filesystem": {"rootdirectory": str(folder / "images")},
                "delete": {"enabled": True},
            },
            "http": {"addr": f"{self.endpoint.config.ip_address}:{self.endpoint.config.port}"},
        }
        path = folder / "settings.yml"
        path.write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML
        program = _program()
        os.execv(program, [program, "serve", str(path)])  # noqa: S606 - no shell is wanted


class LocalContainerRegistry(BaseContainerRegistry):
    """A registry on this machine: `zenml stack up` starts it, `zenml stack down` stops it, with `--force` its images are removed.

    It needs the program of the CNCF's registry (Debian's package docker-registry), listens on the loopback address alone, and lets
    everybody in who reaches it there. `path` is the folder that holds the images; by default, one of this component's own in
    the configuration directory.
    """

    FLAVOR: ClassVar[str] = "local"

    uri: Annotated[
        str, matching(rf"(?:localhost|127\.0\.0\.1):\d+(?:/{NAME})*", "localhost:PORT[/NAME...]")
    ] = "localhost:5000"
    path: str = ""

    @field_validator("path")
    @classmethod
    def _absolute(cls, value: str) -> str:
        return str(Path(value).expanduser().absolute()) if value else value

    @property
    def local_path(self) -> str:
        """The folder of the images."""
        return str(self._folder)

    @property
    def log_file(self) -> str | None:
        """What the registry says."""
        return str(self._folder / "service.log")

    @property
    def is_provisioned(self) -> bool:
        """Whether it has been started once, and its images were not removed since."""
        return (self._folder / "service.json").exists()

    @property
    def is_running(self) -> bool:
        """Whether it answers."""
        return self.is_provisioned and self._load().is_running

    def provision(self) -> None:
        """Make the folder. Raises ProvisioningError if there is no such program."""
        _program()
        self._server().save()

    def resume(self) -> None:
        """Start it, and wait until it answers. Raises ProvisioningError."""
        self._server().start(timeout=_PATIENCE)

    def suspend(self) -> None:
        """Stop it; the images stay."""
        if self.is_provisioned:
            self._load().stop(timeout=_PATIENCE)

    def deprovision(self) -> None:
        """Stop it, and remove its images."""
        self.suspend()
        if self._folder.exists():
            shutil.rmtree(self._folder)

    @property
    def _folder(self) -> Path:
        default = GlobalConfiguration().config_directory / "local_stores" / str(self.uuid)
        return (Path(self.path) if self.path else default) / "registry"

    def _load(self) -> LocalRegistryServer:
        return LocalRegistryServer.load(str(self._folder))

    def _server(self) -> LocalRegistryServer:
        port = int(self.uri.partition("/")[0].rpartition(":")[2])
        endpoint = LocalDaemonServiceEndpoint(
            config=LocalDaemonServiceEndpointConfig(
                name=self.name, protocol=ServiceEndpointProtocol.HTTP, port=port, allocate_port=False
            ),
            monitor=HTTPEndpointHealthMonitor(
                config=HTTPEndpointHealthMonitorConfig(healthcheck_uri_path="v2/")
            ),
        )
        config = LocalDaemonServiceConfig(name=self.name, root_runtime_path=str(self._folder), singleton=True)
        return LocalRegistryServer(config=config, endpoint=endpoint)


def _program() -> str:
    for name in _PROGRAMS:
        if program := shutil.which(name):
            return program
    raise ProvisioningError(
        f"A local container registry needs the program {' or '.join(map(repr, _PROGRAMS))}, which is not there: "
        "install it, on Debian and Ubuntu with `apt-get install docker-registry`."
    )
