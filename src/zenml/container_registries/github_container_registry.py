"""The container registry of GitHub."""

from __future__ import annotations

import os
from typing import Annotated, ClassVar

from zenml.container_registries.base_container_registry import NAME, BaseContainerRegistry, matching
from zenml.exceptions import SecretError


class GitHubContainerRegistry(BaseContainerRegistry):
    """The container registry of GitHub.

    With `automatic_token_authentication`, user and password are those that GitHub Actions gives a job: GITHUB_ACTOR and
    GITHUB_TOKEN.
    """

    FLAVOR: ClassVar[str] = "github"

    uri: Annotated[str, matching(rf"ghcr\.io(?:/{NAME})*", "ghcr.io/OWNER")]
    automatic_token_authentication: bool = False

    @property
    def requires_authentication(self) -> bool:
        """Whether the registry gets a user and a password."""
        return self.automatic_token_authentication or super().requires_authentication

    @property
    def credentials(self) -> tuple[str, str] | None:
        """User and password, in clear. Raises SecretError if they cannot be read."""
        if not self.automatic_token_authentication:
            return super().credentials
        try:
            return os.environ["GITHUB_ACTOR"], os.environ["GITHUB_TOKEN"]
        except KeyError as error:
            raise SecretError(
                f"The {self.TYPE.display} '{self.name}' takes user and password from GitHub Actions, but {error} is not set: run it in a "
                f"job that gets GITHUB_TOKEN, or set automatic_token_authentication to false and give username and password."
            ) from None
