"""Services: long-running processes, such as a server of predictions."""

from zenml.services.daemon import LocalDaemonService, LocalDaemonServiceConfig, LocalDaemonServiceStatus
from zenml.services.endpoint import (
    BaseServiceEndpoint,
    LocalDaemonServiceEndpoint,
    LocalDaemonServiceEndpointConfig,
    LocalDaemonServiceEndpointStatus,
    ServiceEndpointConfig,
    ServiceEndpointProtocol,
    ServiceEndpointStatus,
)
from zenml.services.health import (
    BaseServiceEndpointHealthMonitor,
    HTTPEndpointHealthMonitor,
    HTTPEndpointHealthMonitorConfig,
    ServiceEndpointHealthMonitorConfig,
    TCPEndpointHealthMonitor,
    TCPEndpointHealthMonitorConfig,
)
from zenml.services.lookup import load_last_service_from_step
from zenml.services.service import BaseService, ServiceConfig, ServiceType
from zenml.services.status import ServiceState, ServiceStatus

__all__ = [
    "BaseService",
    "BaseServiceEndpoint",
    "BaseServiceEndpointHealthMonitor",
    "HTTPEndpointHealthMonitor",
    "HTTPEndpointHealthMonitorConfig",
    "LocalDaemonService",
    "LocalDaemonServiceConfig",
    "LocalDaemonServiceEndpoint",
    "LocalDaemonServiceEndpointConfig",
    "LocalDaemonServiceEndpointStatus",
    "LocalDaemonServiceStatus",
    "ServiceConfig",
    "ServiceEndpointConfig",
    "ServiceEndpointHealthMonitorConfig",
    "ServiceEndpointProtocol",
    "ServiceEndpointStatus",
    "ServiceState",
    "ServiceStatus",
    "ServiceType",
    "TCPEndpointHealthMonitor",
    "TCPEndpointHealthMonitorConfig",
    "load_last_service_from_step",
]
