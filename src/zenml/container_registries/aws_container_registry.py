"""Amazon Elastic Container Registry."""

from __future__ import annotations

from typing import Annotated, ClassVar

from zenml.container_registries.base_container_registry import BaseContainerRegistry, matching


class AWSContainerRegistry(BaseContainerRegistry):
    """Amazon Elastic Container Registry."""

    FLAVOR: ClassVar[str] = "aws"

    uri: Annotated[
        str,
        matching(
            r"\d{12}\.dkr\.ecr(?:-fips)?\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?",
            "ACCOUNT.dkr.ecr.REGION.amazonaws.com with an account of twelve digits and no path",
        ),
    ]
