"""Where a service can be reached."""

from __future__ import annotations

import random
import socket
from enum import Enum

from pydantic import Field, SerializeAsAny

from zenml.exceptions import ProvisioningError
from zenml.services.health import BaseServiceEndpointHealthMonitor  # noqa: TC001 - the type of a field, evaluated at run time
from zenml.services.status import ServiceState, ServiceStatus
from zenml.services.typed import TypedModel

# Below those that systems give to outgoing connections, so that a port is still free when a stopped service starts again.
_PORTS = range(20_000, 32_768)
_TRIES = 50


class ServiceEndpointProtocol(str, Enum):
    """What an endpoint speaks."""

    TCP = "tcp"
    HTTP = "http"
    HTTPS = "https"


class ServiceEndpointConfig(TypedModel):
    """What an endpoint is called."""

    name: str = ""
    description: str = ""


class ServiceEndpointStatus(ServiceStatus):
    """An endpoint's address, as soon as it has one."""

    protocol: ServiceEndpointProtocol = ServiceEndpointProtocol.TCP
    hostname: str | None = None
    port: int | None = None

    @property
    def uri(self) -> str | None:
        """The address as a URI; None as long as there is none."""
        if self.hostname is None or self.port is None:
            return None
        host = f"[{self.hostname}]" if ":" in self.hostname else self.hostname
        return f"{self.protocol.value}://{host}:{self.port}/"


class BaseServiceEndpoint(TypedModel):
    """An address of a service, checked by `monitor`; without one, it counts as active whenever the service runs."""

    admin_state: ServiceState = ServiceState.INACTIVE
    config: SerializeAsAny[ServiceEndpointConfig] = Field(default_factory=ServiceEndpointConfig)
    status: SerializeAsAny[ServiceEndpointStatus] = Field(default_factory=ServiceEndpointStatus)
    monitor: SerializeAsAny[BaseServiceEndpointHealthMonitor] | None = None

    def check_status(self) -> tuple[ServiceState, str]:
        """Whether the endpoint answers, and why not."""
        return (
            self.monitor.check_endpoint_status(self) if self.monitor is not None else (self.admin_state, "")
        )

    def update_status(self) -> None:
        """Check, and note what was found."""
        self.status.update_state(*self.check_status())

    def is_active(self) -> bool:
        """Whether the endpoint answers now."""
        self.update_status()
        return self.status.state is ServiceState.ACTIVE

    def is_inactive(self) -> bool:
        """Whether the endpoint does not answer now."""
        self.update_status()
        return self.status.state is not ServiceState.ACTIVE


class LocalDaemonServiceEndpointConfig(ServiceEndpointConfig):
    """An address of this machine.

    `port` is preferred; where it is taken or None, a free one is chosen, unless `allocate_port` is false.
    """

    protocol: ServiceEndpointProtocol = ServiceEndpointProtocol.TCP
    port: int | None = Field(default=None, ge=1, le=65535)
    ip_address: str = "127.0.0.1"
    allocate_port: bool = True


class LocalDaemonServiceEndpointStatus(ServiceEndpointStatus):
    """The address of a process of this machine."""


class LocalDaemonServiceEndpoint(BaseServiceEndpoint):
    """An address of a process of this machine."""

    config: SerializeAsAny[LocalDaemonServiceEndpointConfig] = Field(
        default_factory=LocalDaemonServiceEndpointConfig
    )
    status: SerializeAsAny[LocalDaemonServiceEndpointStatus] = Field(
        default_factory=LocalDaemonServiceEndpointStatus
    )

    def prepare_for_start(self) -> None:
        """Choose the port.

        Raises:
            ProvisioningError: the configured port is taken, or none is configured, and no other may be chosen;
                or the address is not one of this machine.
        """
        self.status.protocol = self.config.protocol
        self.status.hostname = self.config.ip_address
        # The port of an earlier start is kept if it is free: clients know it.
        for preferred in (self.config.port, self.status.port):
            if preferred is not None and _is_free(self.config.ip_address, preferred):
                self.status.port = preferred
                return
        if not self.config.allocate_port:
            reason = f"the port {self.config.port} is taken" if self.config.port else "it has no port"
            raise ProvisioningError(
                f"The endpoint '{self.config.name}' on {self.config.ip_address} cannot be opened: {reason}, and `allocate_port` is false. "
                "Give another port, or set `allocate_port`."
            )
        self.status.port = next(
            (port for port in random.sample(_PORTS, _TRIES) if _is_free(self.config.ip_address, port)), None
        )
        if self.status.port is None:
            raise ProvisioningError(
                f"The endpoint '{self.config.name}' cannot be opened: of {_TRIES} ports of {self.config.ip_address}, none is free. "
                "Is it an address of this machine?"
            )


def _is_free(address: str, port: int) -> bool:
    try:
        _listener(address, port).close()
    except ProvisioningError:
        raise
    except OSError:
        return False
    return True


def _listener(address: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, name = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        raise ProvisioningError(f"{address!r} is no address of this machine: {error.strerror}.") from error
    found = socket.socket(family, kind, protocol)
    try:
        # As servers do: connections of an earlier server that linger must not make the port look taken.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(name)
        found.listen()
    except OSError:
        found.close()
        raise
    return found
