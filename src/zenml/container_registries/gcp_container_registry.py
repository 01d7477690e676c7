"""Google's Artifact Registry and Container Registry."""

from __future__ import annotations

from typing import Annotated, ClassVar

from zenml.container_registries.base_container_registry import NAME, BaseContainerRegistry, matching


class GCPContainerRegistry(BaseContainerRegistry):
    """Google's Artifact Registry and Container Registry."""

    FLAVOR: ClassVar[str] = "gcp"

    uri: Annotated[
        str,
        matching(
            rf"(?:[a-z]+\.)?gcr\.io(?:/{NAME})+|[a-z0-9-]+-docker\.pkg\.dev(?:/{NAME}){{2,}}",
            "LOCATION-docker.pkg.dev/PROJECT/REPOSITORY, gcr.io/PROJECT or REGION.gcr.io/PROJECT",
        ),
    ]
