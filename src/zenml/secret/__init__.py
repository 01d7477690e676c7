"""Secrets: their schemas, and references to them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenml.secret.arbitrary_secret_schema import (
        ARBITRARY_SECRET_SCHEMA_TYPE as ARBITRARY_SECRET_SCHEMA_TYPE,
    )
    from zenml.secret.arbitrary_secret_schema import ArbitrarySecretSchema as ArbitrarySecretSchema
    from zenml.secret.base_secret_schema import BaseSecretSchema as BaseSecretSchema
    from zenml.secret.registry import SecretSchemaClassRegistry as SecretSchemaClassRegistry
    from zenml.secret.registry import register_secret_schema_class as register_secret_schema_class

__all__ = [
    "ARBITRARY_SECRET_SCHEMA_TYPE",
    "ArbitrarySecretSchema",
    "BaseSecretSchema",
    "SecretSchemaClassRegistry",
    "register_secret_schema_class",
]

# Loaded when they are first used: zenml.secret.references is imported where pydantic must not be.
_LAZY = {
    "ARBITRARY_SECRET_SCHEMA_TYPE": "zenml.secret.arbitrary_secret_schema",
    "ArbitrarySecretSchema": "zenml.secret.arbitrary_secret_schema",
    "BaseSecretSchema": "zenml.secret.base_secret_schema",
    "SecretSchemaClassRegistry": "zenml.secret.registry",
    "register_secret_schema_class": "zenml.secret.registry",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zenml.secret' has no attribute {name!r}")
