"""The model deployer that needs nothing: each server is a process of this machine."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar
from uuid import UUID

from zenml.config.global_config import GlobalConfiguration
from zenml.context import running_step
from zenml.exceptions import ConfigurationError, ProvisioningError, UnreadableFileError
from zenml.model_deployers.base_model_deployer import BaseModelDeployer
from zenml.model_deployers.local_model_server import LocalModelServer, LocalModelServerConfig

if TYPE_CHECKING:
    from zenml.services import BaseService, ServiceConfig

logger = logging.getLogger(__name__)

_TIMEOUT = 300


class LocalModelDeployer(BaseModelDeployer):
    """Serves models by processes of this machine, each with a `zenml.model_deployers.LocalModelServerConfig`.

    The servers' configurations and logs lie below `path`; where that is empty, in a folder of the global configuration.
    """

    FLAVOR: ClassVar[str] = "local"

    path: str = ""

    @property
    def local_path(self) -> str:
        """The folder that holds one folder for each server."""
        if self.path:
            return str(Path(self.path).expanduser().absolute())
        return str(GlobalConfiguration().config_directory / "local_stores" / str(self.uuid))

    def deploy_model(
        self, config: ServiceConfig, replace: bool = False, timeout: int = _TIMEOUT
    ) -> LocalModelServer:
        """Start a server and wait until it answers.

        With `replace`, the server of the same model, pipeline and step keeps its uuid, and its address where possible. If it does
        not start with the new configuration, it is started again with the one it had.

        Raises:
            ConfigurationError: `config` is no LocalModelServerConfig.
            ProvisioningError: the server did not start, or did not answer in time; the message shows the end of its log.
        """
        wanted = self._completed(config)
        existing = self.deployed(wanted) if replace else None
        if existing is None:
            service = LocalModelServer(config=wanted)
            service.start(timeout=timeout)
            return service
        before = existing.config
        was_running = existing.is_running
        existing.stop(timeout=timeout or _TIMEOUT)
        existing.update(wanted)
        try:
            existing.start(timeout=timeout)
        except ProvisioningError:
            existing.stop(timeout=timeout or _TIMEOUT, force=True)
            existing.update(before)
            existing.save()
            if was_running:
                existing.start(timeout=timeout)
            raise
        return existing

    def deployed(self, config: ServiceConfig) -> LocalModelServer | None:
        """The server that `deploy_model(config, replace=True)` would change. Raises ConfigurationError as that does."""
        wanted = self._completed(config)
        same = ("model_name", "pipeline_name", "pipeline_step_name")
        for service in self._servers(None):
            if all(getattr(service.config, field) == getattr(wanted, field) for field in same):
                return service
        return None

    @staticmethod
    def get_model_server_info(service: BaseService) -> dict[str, str]:
        """Address and model of a server."""
        if not isinstance(service, LocalModelServer):
            raise ConfigurationError(
                f"{service} is no server of a local model deployer, but a {type(service).__name__}."
            )
        return {
            "PREDICTION_URL": service.prediction_url or "",
            "MODEL_URI": service.config.model_uri,
            "MODEL_NAME": service.config.model_name,
            "MODEL_TYPE": service.config.model_type,
            "AUTHENTICATION": "bearer token" if service.config.token_digest else "none",
            "RUNTIME_PATH": service.status.runtime_path or "",
        }

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
        """The servers that agree with all that is given, by age; one that cannot be read is left out with a warning."""
        wanted = {
            "pipeline_name": pipeline_name,
            "pipeline_run_id": pipeline_run_id,
            "pipeline_step_name": pipeline_step_name,
            "model_name": model_name,
            "model_uri": model_uri,
            "model_type": model_type,
        }
        return [
            service
            for service in self._servers(service_uuid)
            if all(
                value is None or getattr(service.config, field) == value for field, value in wanted.items()
            )
            and (not running or service.is_running)
        ]

    def delete_model_server(self, uuid: UUID, timeout: int = _TIMEOUT, force: bool = False) -> None:
        """Stop a server and remove its folder, log included. Raises DoesNotExistException."""
        service = self.get_model_server(uuid)
        # It must have ended before its folder goes, so this waits in any case.
        service.stop(timeout=timeout or _TIMEOUT, force=force)
        shutil.rmtree(self._folder(uuid))

    def _folder(self, uuid: UUID) -> Path:
        return Path(self.local_path) / str(uuid)

    def _servers(self, uuid: UUID | None) -> list[LocalModelServer]:
        files = Path(self.local_path).glob(f"{uuid or '*'}/service.json")
        servers = []
        for file in sorted(files, key=lambda f: f.parent.stat().st_ctime):
            try:
                servers.append(LocalModelServer.load(str(file.parent)))
            except UnreadableFileError as error:
                logger.warning("A model server of '%s' is left out: %s", self.name, error)
        return servers

    def _completed(self, config: ServiceConfig) -> LocalModelServerConfig:
        """The configuration with the deployer's folder, and the step that deploys."""
        if not isinstance(config, LocalModelServerConfig):
            raise ConfigurationError(
                f"The model deployer '{self.name}' of flavor 'local' deploys a zenml.model_deployers.LocalModelServerConfig, "
                f"not a {type(config).__name__}."
            )
        changes: dict[str, str] = {"root_runtime_path": self.local_path}
        step = running_step()
        if step is not None and not config.pipeline_name:
            changes |= {
                "pipeline_name": step.pipeline_name,
                "pipeline_run_id": step.run_name,
                "pipeline_step_name": step.step_name,
            }
        return config.model_copy(update={**changes, "singleton": False})
