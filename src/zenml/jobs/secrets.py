"""Secrets on their way to a job, by its engine's own channel."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import SecretError, StackValidationError
from zenml.jobs.job import SECRETS_FILE
from zenml.secret.known import remember
from zenml.secret.references import ENVIRONMENT
from zenml.stack.secrets import needed_secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zenml.model.deployment import Deployment
    from zenml.stack import Stack
    from zenml.stack.executing import ExecutingComponent

_OUTSIDE = (
    StackComponentType.ORCHESTRATOR,
    StackComponentType.STEP_OPERATOR,
    StackComponentType.CONTAINER_REGISTRY,
)
"""What starts jobs is not used in them: neither are its secrets."""


def carried_secrets(deployment: Deployment, stack: Stack | None) -> str | None:
    """What a job needs of secrets and cannot look up itself, as JSON text; None if that is nothing.

    Those of a secrets manager of `stack` that is bound to this machine, and the environment variables that components and parameters
    refer to. Without a stack, these alone.

    Raises:
        DoesNotExistException, SecretError: one is not there.
    """
    manager = stack.secrets_manager if stack is not None else None
    carries = manager is not None and manager.reach < Reach.NETWORK
    secrets: dict[str, Any] = {}
    environment: dict[str, str] = {}
    for name, key, purpose in _needed_inside(deployment):
        if name == ENVIRONMENT:
            if key not in os.environ:
                raise SecretError(
                    f"The environment variable '{key}', for {purpose}, is not set: set it here, it is handed on."
                )
            environment[key] = os.environ[key]
        elif manager is not None and carries and name not in secrets:
            secret = manager.get_secret(name)
            secrets[name] = {"type": secret.TYPE, "content": dict(secret.content)}
    if not secrets and not environment:
        return None
    return json.dumps({"secrets": secrets if carries else None, "environment": environment})


def refuse_variables(component: ExecutingComponent, deployment: Deployment) -> None:
    """For components that cannot hand secrets on.

    Raises:
        StackValidationError: something that their steps use refers to variables of this environment, which are not set there.
    """
    own = replace(deployment, steps=tuple(component.own_steps(deployment)))
    if found := [
        f"  {purpose}: {{{{env.{key}}}}}" for name, key, purpose in _needed_inside(own) if name == ENVIRONMENT
    ]:
        where = f"the {component.TYPE.display} '{component.name}' of flavor '{component.FLAVOR}'"
        raise StackValidationError(
            f"Variables of this environment are not set where {where} executes steps, and it has no way to hand them on, but these refer "
            "to some:\n"
            + "\n".join(found)
            + "\nRefer to secrets of a secrets manager that the steps can reach: {{name.key}}."
        )


def received_secrets() -> dict[str, Any] | None:
    """The secrets that this job was given: by name, its "type" and "content". None if it can look them up itself.

    Variables that were handed on are in the environment from now on.

    Raises:
        SecretError: the file cannot be read.
    """
    path = os.environ.get(SECRETS_FILE)
    if path is None:
        return None
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # The error's own text may show a part of the file.
        raise SecretError(
            f"The secrets of this job, in {path!r}, cannot be read: {type(error).__name__}."
        ) from None
    os.environ.update(document["environment"])
    remember(document["environment"].values())
    secrets: dict[str, Any] | None = document["secrets"]
    return secrets


def _needed_inside(deployment: Deployment) -> Iterator[tuple[str, str, str]]:
    """What `needed_secrets` gives, without what is not used in jobs."""
    components = {t: c for t, c in deployment.stack.components.items() if t not in _OUTSIDE}
    return needed_secrets(replace(deployment, stack=replace(deployment.stack, components=components)))
