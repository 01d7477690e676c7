"""Azure Container Registry."""

from __future__ import annotations

from typing import Annotated, ClassVar

from zenml.container_registries.base_container_registry import NAME, BaseContainerRegistry, matching


class AzureContainerRegistry(BaseContainerRegistry):
    """Azure Container Registry."""

    FLAVOR: ClassVar[str] = "azure"

    uri: Annotated[
        str, matching(rf"[A-Za-z0-9]{{5,50}}\.azurecr\.(?:io|us|cn)(?:/{NAME})*", "NAME.azurecr.io")
    ]
