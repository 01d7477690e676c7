"""What a model deployer is: it makes models answer requests."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from zenml.enums import StackComponentType
from zenml.exceptions import DoesNotExistException
from zenml.stack import StackComponent

if TYPE_CHECKING:
    from zenml.services import BaseService, ServiceConfig

_TIMEOUT = 300


class BaseModelDeployer(StackComponent):
    """Makes models answer requests, each by a server of its own, which is a `zenml.services.BaseService`.

    A flavor deploys, finds and deletes servers; starting, stopping and reading logs follow from what it finds. Timeouts are in
    seconds; 0 does not wait. A verb that cannot do its work in time raises ProvisioningError.
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.MODEL_DEPLOYER

    @abstractmethod
    def deploy_model(
        self, config: ServiceConfig, replace: bool = False, timeout: int = _TIMEOUT
    ) -> BaseService:
        """Start a server and wait until it answers.

        With `replace`, the server of the same model, pipeline and step, if there is one, is the one that is changed.
        """

    @staticmethod
    @abstractmethod
    def get_model_server_info(service: BaseService) -> dict[str, str]:
        """What a person wants to know of a server: its address, its model."""

    @abstractmethod
    def find_model_server(  # noqa: PLR0917 - the filters are also given by position
        self,
        running: bool = False,
        service_uuid: UUID | None = None,
        pipeline_name: str | None = None,
        pipeline_run_id: str | None = None,
        pipeline_step_name: str | None = None,
        model_name: str | None = None,
        model_uri: str | None = None,
        model_type: str | None = None,
    ) -> list[BaseService]:
        """The servers that agree with all that is given; with `running`, those that answer now."""

    @abstractmethod
    def delete_model_server(self, uuid: UUID, timeout: int = _TIMEOUT, force: bool = False) -> None:
        """Stop a server and remove what is kept of it. Raises DoesNotExistException."""

    def stop_model_server(self, uuid: UUID, timeout: int = _TIMEOUT, force: bool = False) -> None:
        """Stop a server; it can be started again. Raises DoesNotExistException."""
        self.get_model_server(uuid).stop(timeout=timeout, force=force)

    def start_model_server(self, uuid: UUID, timeout: int = _TIMEOUT) -> None:
        """Start a server that was stopped. Raises DoesNotExistException."""
        self.get_model_server(uuid).start(timeout=timeout)

    def get_model_server_logs(
        self, uuid: UUID, follow: bool = False, tail: int | None = None
    ) -> Iterator[str]:
        """The lines of a server's log: the last `tail` ones, then new ones if `follow`. Raises DoesNotExistException."""
        return self.get_model_server(uuid).get_logs(follow=follow, tail=tail)

    def get_model_server(self, uuid: UUID) -> BaseService:
        """The server of that uuid. Raises DoesNotExistException."""
        found = self.find_model_server(service_uuid=uuid)
        if not found:
            raise DoesNotExistException(
                f"The model deployer '{self.name}' has no server with the uuid {uuid}. List them with `zenml served-models list`."
            )
        return found[0]
