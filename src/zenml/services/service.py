"""What a service is."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, SerializeAsAny

from zenml.exceptions import InterfaceError, ProvisioningError
from zenml.services.endpoint import BaseServiceEndpoint  # noqa: TC001 - the type of a field, evaluated at run time
from zenml.services.status import ServiceState, ServiceStatus
from zenml.services.typed import TypedModel

_POLL = 0.1
_SHOWN = 20


class ServiceType(BaseModel):
    """What kind of service a class is: `type` such as "model-serving", `flavor` such as "local"."""

    model_config = ConfigDict(frozen=True)

    type: str
    flavor: str
    name: str = ""
    description: str = ""


class ServiceConfig(TypedModel):
    """What a service is called, and which step of which run made it."""

    name: str = ""
    description: str = ""
    pipeline_name: str = ""
    pipeline_run_id: str = ""
    pipeline_step_name: str = ""


class BaseService(TypedModel, ABC):
    """Something that runs on its own, is started and stopped from here, and can be asked for its state.

    A subclass sets `SERVICE_TYPE`, says how to look (`check_status`, `get_logs`) and how to start and stop (`provision`,
    `deprovision`). For a process of this machine, derive from `LocalDaemonService` instead.

    Raises:
        InterfaceError: the class sets no SERVICE_TYPE.
    """

    SERVICE_TYPE: ClassVar[ServiceType]

    uuid: UUID = Field(default_factory=uuid4)
    admin_state: ServiceState = ServiceState.INACTIVE
    config: SerializeAsAny[ServiceConfig] = Field(default_factory=ServiceConfig)
    status: SerializeAsAny[ServiceStatus] = Field(default_factory=ServiceStatus)
    endpoint: SerializeAsAny[BaseServiceEndpoint] | None = None

    def model_post_init(self, context: Any, /) -> None:
        """See that the class says what it is."""
        super().model_post_init(context)
        if not hasattr(type(self), "SERVICE_TYPE"):
            raise InterfaceError(
                f"The service class {type(self).__qualname__!r} must set the class variable "
                'SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="...", flavor="...").'
            )

    @abstractmethod
    def check_status(self) -> tuple[ServiceState, str]:
        """What the service does now, and why it does not do what it should. The endpoint is not looked at."""

    @abstractmethod
    def get_logs(self, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """The lines of the log, without their ends: all, or the last `tail` ones.

        With `follow`, then new ones as they come, for as long as the service runs.
        """

    def provision(self) -> None:
        """Start it, without waiting. Raises ProvisioningError."""
        raise ProvisioningError(f"{self} cannot be started from here.")

    def deprovision(self, force: bool = False) -> None:
        """Ask it to end, without waiting; with `force`, end it. Raises ProvisioningError."""
        raise ProvisioningError(f"{self} cannot be stopped from here.")

    def update(self, config: ServiceConfig) -> None:
        """Take another configuration: it holds from the next start."""
        self.config = config

    def update_status(self) -> None:
        """Check service and endpoint, and note what was found. A service is active when its endpoint is."""
        state, error = self.check_status()
        if self.endpoint is not None:
            if state is ServiceState.ACTIVE:
                self.endpoint.update_status()
                if self.endpoint.status.state is not ServiceState.ACTIVE:
                    state, error = ServiceState.PENDING_STARTUP, self.endpoint.status.last_error
            else:
                self.endpoint.status.update_state(ServiceState.INACTIVE)
        if state is ServiceState.ACTIVE:
            self.status.clear_error()
        self.status.update_state(state, error)

    def poll_service_status(self, timeout: float = 0) -> bool:
        """Wait up to `timeout` seconds for the service to do what it should; whether it does. Stops waiting when it has failed."""
        deadline = time.monotonic() + timeout
        while True:
            self.update_status()
            if self.status.state is self.admin_state:
                return True
            if self.status.state is ServiceState.ERROR or time.monotonic() >= deadline:
                return False
            time.sleep(_POLL)

    @property
    def is_running(self) -> bool:
        """Whether it runs and answers now."""
        self.update_status()
        return self.status.state is ServiceState.ACTIVE

    @property
    def is_stopped(self) -> bool:
        """Whether it has ended as it should."""
        self.update_status()
        return self.status.state is ServiceState.INACTIVE

    @property
    def is_failed(self) -> bool:
        """Whether it should run and cannot."""
        self.update_status()
        return self.status.state is ServiceState.ERROR

    def start(self, timeout: float = 0) -> None:
        """Start it; with a `timeout` (seconds), wait until it answers.

        Raises:
            ProvisioningError: it cannot be started, ended, or did not answer in time; the message shows the last lines of its log.
        """
        self.admin_state = ServiceState.ACTIVE
        self.provision()
        if timeout > 0 and not self.poll_service_status(timeout):
            if self.status.state is ServiceState.ERROR:
                what = f"{self} did not start: {self.status.last_error or 'it failed'}."
            else:
                what = (
                    f"{self} did not answer within {timeout:g} seconds: {self.status.last_error or self.status.state}. "
                    "It is left running: wait longer, or stop it."
                )
            raise ProvisioningError(what + self._log_end())

    def stop(self, timeout: float = 0, force: bool = False) -> None:
        """Ask it to end; with a `timeout` (seconds), wait until it has, and end it by force after that. With `force`, end it at once.

        Raises:
            ProvisioningError: it still runs.
        """
        self.admin_state = ServiceState.INACTIVE
        self.deprovision(force=force)
        if timeout <= 0 or self.poll_service_status(timeout):
            return
        self.deprovision(force=True)
        if not self.poll_service_status(timeout):
            raise ProvisioningError(f"{self} could not be stopped: it is {self.status.state}.")

    def __str__(self) -> str:
        return f"The service '{self.config.name or self.uuid}' ({type(self).__name__})"

    __repr__ = __str__

    def _log_end(self) -> str:
        lines = list(self.get_logs(tail=_SHOWN))
        return "\nThe last lines of its log:\n" + "\n".join(f"  {line}" for line in lines) if lines else ""
