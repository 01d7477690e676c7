"""Any registry."""

from __future__ import annotations

from typing import ClassVar

from zenml.container_registries.base_container_registry import BaseContainerRegistry


class DefaultContainerRegistry(BaseContainerRegistry):
    """Any registry, such as one at `localhost:5000`."""

    FLAVOR: ClassVar[str] = "default"
