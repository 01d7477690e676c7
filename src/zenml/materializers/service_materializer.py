"""Long-running services."""

from __future__ import annotations

from typing import Any, ClassVar

from zenml.artifacts import BaseArtifact, ServiceArtifact
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.services import BaseService

_NAME = "service.json"


class ServiceMaterializer(BaseMaterializer):
    """Services: how to find and control them, as JSON in `service.json`. What runs goes on running, whoever reads it."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (BaseService,)
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (ServiceArtifact,)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the service."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_NAME}") as file:
            return BaseService.from_json(file.read())

    def handle_return(self, data: Any) -> None:
        """Write the service."""
        super().handle_return(data)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "w") as file:
            file.write(data.to_json())
