"""References to secrets in text: `{{name.key}}` (a secret of the stack's secrets manager) and `{{env.X}}` (an environment variable)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

from zenml.exceptions import SecretError
from zenml.secret.known import remember

ENVIRONMENT = "env"
"""The name that stands for the environment: no secret may have it."""

_REFERENCE = re.compile(r"\{\{\s*(?P<name>\w[\w .:@+=-]*?)\.(?P<key>\w+)\s*\}\}")

Lookup = Callable[[str, str], str]
"""Gives the value of the key of a secret: lookup(name, key). Raises SecretError."""


def references(value: Any) -> Iterator[tuple[str, str]]:
    """The (name, key) of every reference in a text, or in the texts of a list or mapping."""
    if isinstance(value, str):
        for match in _REFERENCE.finditer(value):
            yield match["name"], match["key"]
    elif isinstance(value, dict):
        for item in value.values():
            yield from references(item)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for item in value:
            yield from references(item)


def has_reference(value: Any) -> bool:
    """Whether there is any reference in `value`."""
    return any(True for _ in references(value))


def resolve(value: Any, lookup: Lookup) -> Any:
    """`value` with every reference replaced by what it refers to.

    Raises:
        SecretError: an environment variable is not set, or whatever `lookup` cannot find.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: _look_up(match["name"], match["key"], lookup), value)
    if isinstance(value, dict):
        return {key: resolve(item, lookup) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(resolve(item, lookup) for item in value)
    return value


def _look_up(name: str, key: str, lookup: Lookup) -> str:
    value = lookup(name, key) if name != ENVIRONMENT else _environment(key)
    remember((value,))
    return value


def _environment(key: str) -> str:
    try:
        return os.environ[key]
    except KeyError:
        raise SecretError(
            f"The environment variable {key!r} is not set, but '{{{{env.{key}}}}}' refers to it: set it and try again."
        ) from None
