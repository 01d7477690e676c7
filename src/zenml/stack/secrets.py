"""Which secrets a deployment needs, and which of them are not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from zenml.enums import Reach
from zenml.exceptions import DoesNotExistException, ZenMLBaseException
from zenml.secret.references import ENVIRONMENT, references

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment
    from zenml.stack.stack import Stack


def missing_secrets(deployment: Deployment, stack: Stack, *, of_components: bool = True) -> list[str]:
    """What the deployment refers to and does not exist, each as a sentence without its end: "the secret 'x', for ...".

    Secrets that the pipeline declares, references in parameters of steps and, `of_components`, in the fields of components, which need
    not all be used. A secrets manager that does
    not answer is not asked further: the step will say what is wrong. Variables of the environment count where the steps see this one.
    """
    sees_this = stack.orchestrator.spread is not Reach.NETWORK
    known: dict[str, frozenset[str] | None] = {}
    missing: dict[str, None] = {}
    for name, key, purpose in needed_secrets(deployment, of_components=of_components):
        if name == ENVIRONMENT:
            if sees_this and key not in os.environ:
                missing[f"the environment variable '{key}', for {purpose}"] = None
            continue
        if name not in known:
            try:
                known[name] = _keys(stack, name)
            except ZenMLBaseException:
                return list(missing)
        keys = known[name]
        if keys is None:
            where = "" if stack.secrets_manager else f" (the stack '{stack.name}' has no secrets manager)"
            missing[f"the secret '{name}', for {purpose}{where}"] = None
        elif key and key not in keys:
            missing[f"the key '{key}' of the secret '{name}', for {purpose}"] = None
    return list(missing)


def needed_secrets(deployment: Deployment, *, of_components: bool = True) -> Iterator[tuple[str, str, str]]:
    """What the deployment refers to: name (of a secret, or "env"), key (empty for any) and purpose."""
    for name in deployment.secrets:
        yield name, "", f"the pipeline '{deployment.pipeline}'"
    for component in deployment.stack.components.values() if of_components else ():
        purpose = f"the {component.type.display} '{component.name}'"
        for name, key in references(dict(component.configuration)):
            yield name, key, purpose
        if authentication := component.configuration.get("authentication_secret"):
            yield authentication, "", purpose
    for step in deployment.steps:
        for parameter in step.secrets:
            values = [step.parameters.get(parameter), *step.each.get(parameter, ())]
            for name, key in references(values):
                yield name, key, f"the parameter '{parameter}' of the step '{step.name}'"


def _keys(stack: Stack, name: str) -> frozenset[str] | None:
    if stack.secrets_manager is None:
        return None
    try:
        return frozenset(stack.secrets_manager.get_secret(name).content)
    except DoesNotExistException:
        return None
