"""Pipelines of typed steps, written once, run on any stack."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zenml._version import __version__

if TYPE_CHECKING:
    from zenml.pipelines import pipeline as pipeline
    from zenml.repository import Repository as Repository
    from zenml.steps import Output as Output
    from zenml.steps import step as step

__all__ = ["Output", "Repository", "__version__", "pipeline", "step"]

# Loaded when they are first used: `import zenml` itself must cost next to nothing.
_LAZY = {
    "Output": "zenml.steps",
    "Repository": "zenml.repository",
    "pipeline": "zenml.pipelines",
    "step": "zenml.steps",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zenml' has no attribute {name!r}")
