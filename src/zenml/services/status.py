"""What is known of a service."""

from __future__ import annotations

from enum import Enum

from zenml.services.typed import TypedModel


class ServiceState(str, Enum):
    """What a service does, or should do."""

    ACTIVE = "active"
    PENDING_STARTUP = "pending_startup"
    INACTIVE = "inactive"
    PENDING_SHUTDOWN = "pending_shutdown"
    ERROR = "error"

    def __str__(self) -> str:
        return self.value


class ServiceStatus(TypedModel):
    """The state that was found at the last check, the one before, and why it is not another."""

    state: ServiceState = ServiceState.INACTIVE
    last_state: ServiceState = ServiceState.INACTIVE
    last_error: str = ""

    def update_state(self, new_state: ServiceState | None = None, error: str = "") -> None:
        """Note what a check has found; without `error`, the one of an earlier check is kept."""
        if new_state is not None and new_state is not self.state:
            self.last_state, self.state = self.state, new_state
        if error:
            self.last_error = error

    def clear_error(self) -> None:
        """Forget the last error."""
        self.last_error = ""
