"""For tests of steps, pipelines and flavors: with pytest, whose plugin is on when this package is installed, or any other runner."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zenml.testing.assertions import assert_cached as assert_cached
    from zenml.testing.assertions import assert_ran as assert_ran
    from zenml.testing.assertions import assert_skipped as assert_skipped
    from zenml.testing.isolation import isolated_stack as isolated_stack
    from zenml.testing.running import last_run as last_run
    from zenml.testing.running import run_step as run_step
    from zenml.testing.standins import failing as failing
    from zenml.testing.standins import replacing as replacing

__all__ = [
    "assert_cached",
    "assert_ran",
    "assert_skipped",
    "failing",
    "isolated_stack",
    "last_run",
    "replacing",
    "run_step",
]

# Loaded when they are first used: pytest imports this package for every test suite on the machine.
_LAZY = {
    "assert_cached": "zenml.testing.assertions",
    "assert_ran": "zenml.testing.assertions",
    "assert_skipped": "zenml.testing.assertions",
    "failing": "zenml.testing.standins",
    "isolated_stack": "zenml.testing.isolation",
    "last_run": "zenml.testing.running",
    "replacing": "zenml.testing.standins",
    "run_step": "zenml.testing.running",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'zenml.testing' has no attribute {name!r}")
