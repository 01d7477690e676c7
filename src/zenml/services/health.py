"""Whether an endpoint answers."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import Field, SerializeAsAny

from zenml.services.status import ServiceState
from zenml.services.typed import TypedModel

if TYPE_CHECKING:
    from zenml.services.endpoint import BaseServiceEndpoint


class ServiceEndpointHealthMonitorConfig(TypedModel):
    """How an endpoint is checked."""


class BaseServiceEndpointHealthMonitor(TypedModel, ABC):
    """Checks an endpoint."""

    config: SerializeAsAny[ServiceEndpointHealthMonitorConfig] = Field(
        default_factory=ServiceEndpointHealthMonitorConfig
    )

    @abstractmethod
    def check_endpoint_status(self, endpoint: BaseServiceEndpoint) -> tuple[ServiceState, str]:
        """`ACTIVE` if the endpoint answers as it should, else another state and the reason. Never raises for a failing endpoint."""


class HTTPEndpointHealthMonitorConfig(ServiceEndpointHealthMonitorConfig):
    """A GET (or HEAD) of `healthcheck_uri_path` must be answered with `http_status_code` within `http_timeout` seconds."""

    healthcheck_uri_path: str = ""
    use_head_request: bool = False
    http_status_code: int = 200
    http_timeout: float = 5


class HTTPEndpointHealthMonitor(BaseServiceEndpointHealthMonitor):
    """Asks an HTTP server. Proxies of the environment are not used."""

    config: HTTPEndpointHealthMonitorConfig = Field(default_factory=HTTPEndpointHealthMonitorConfig)

    def get_healthcheck_uri(self, endpoint: BaseServiceEndpoint) -> str | None:
        """What is asked for; None as long as the endpoint has no address."""
        uri = endpoint.status.uri
        return uri and f"{uri.rstrip('/')}/{self.config.healthcheck_uri_path.lstrip('/')}"

    def check_endpoint_status(self, endpoint: BaseServiceEndpoint) -> tuple[ServiceState, str]:
        """Ask the server."""
        uri = self.get_healthcheck_uri(endpoint)
        if uri is None:
            return ServiceState.ERROR, "the endpoint has no address"
        request = Request(uri, method="HEAD" if self.config.use_head_request else "GET")  # noqa: S310 - the endpoint's protocol
        try:
            with build_opener(ProxyHandler({})).open(request, timeout=self.config.http_timeout) as response:
                code = response.status
        except HTTPError as error:
            with error:
                code = error.code
        except (URLError, OSError) as error:
            return ServiceState.ERROR, f"{uri} does not answer: {getattr(error, 'reason', error)}"
        if code != self.config.http_status_code:
            return ServiceState.ERROR, f"{uri} answers with {code} instead of {self.config.http_status_code}"
        return ServiceState.ACTIVE, ""


class TCPEndpointHealthMonitorConfig(ServiceEndpointHealthMonitorConfig):
    """A connection must be taken within `timeout` seconds."""

    timeout: float = 5


class TCPEndpointHealthMonitor(BaseServiceEndpointHealthMonitor):
    """Connects to the port."""

    config: TCPEndpointHealthMonitorConfig = Field(default_factory=TCPEndpointHealthMonitorConfig)

    def check_endpoint_status(self, endpoint: BaseServiceEndpoint) -> tuple[ServiceState, str]:
        """Connect to the port."""
        host, port = endpoint.status.hostname, endpoint.status.port
        if host is None or port is None:
            return ServiceState.ERROR, "the endpoint has no address"
        try:
            socket.create_connection((host, port), timeout=self.config.timeout).close()
        except OSError as error:
            return ServiceState.ERROR, f"{host}:{port} takes no connection: {error}"
        return ServiceState.ACTIVE, ""
