"""The values of secrets that a process has seen are its own for good: a test begins as a new process does."""

import sys

import pytest

from zenml.secret import known


def forget(patch: pytest.MonkeyPatch) -> None:
    """Know of no secret, until the patch is undone."""
    for name, nothing in (
        ("_values", set()),
        ("_forms", ()),
        ("_parts", ()),
        ("_pattern", None),
        ("_has_lines", False),
    ):
        patch.setattr(known, name, nothing)
    patch.setattr(sys, "excepthook", sys.__excepthook__)
