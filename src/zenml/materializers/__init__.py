"""Materializers: how values become files, and files values."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zenml.materializers.base_materializer import BaseMaterializer

if TYPE_CHECKING:
    from zenml.materializers.built_in_materializer import BuiltInMaterializer as BuiltInMaterializer
    from zenml.materializers.numpy_materializer import NumpyMaterializer as NumpyMaterializer
    from zenml.materializers.pandas_materializer import PandasMaterializer as PandasMaterializer
    from zenml.materializers.service_materializer import ServiceMaterializer as ServiceMaterializer

__all__ = [
    "BaseMaterializer",
    "BuiltInMaterializer",
    "NumpyMaterializer",
    "PandasMaterializer",
    "ServiceMaterializer",
]

# Loaded when they are first used: most need a library of their own.
_LAZY = {
    "BuiltInMaterializer": "zenml.materializers.built_in_materializer",
    "NumpyMaterializer": "zenml.materializers.numpy_materializer",
    "PandasMaterializer": "zenml.materializers.pandas_materializer",
    "ServiceMaterializer": "zenml.materializers.service_materializer",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zenml.materializers' has no attribute {name!r}")
