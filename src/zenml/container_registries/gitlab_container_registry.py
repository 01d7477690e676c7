"""The container registry of GitLab, at gitlab.com or on a host of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from zenml.container_registries.base_container_registry import HOST, NAME, BaseContainerRegistry, matching


class GitLabContainerRegistry(BaseContainerRegistry):
    """The container registry of GitLab, at gitlab.com or on a host of one's own."""

    FLAVOR: ClassVar[str] = "gitlab"

    uri: Annotated[
        str,
        matching(
            rf"registry\.{HOST}(?::\d+)?(?:/{NAME})*", "registry.gitlab.com/NAME or registry.HOST[:PORT]"
        ),
    ]
