"""The pytest plugin: the fixture `zenml_stack`, and readable assertions in what this package ships. It does nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from zenml.stack import Stack

pytest.register_assert_rewrite("zenml.testing.conformance")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line(
        "markers",
        "zenml_stack(secrets=..., orchestrator=..., ...): arguments for the stack of the fixture `zenml_stack`, "
        "see zenml.testing.isolated_stack",
    )


@pytest.fixture
def zenml_stack(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of this test's own, which is the active one; nothing of the user's configuration is used.

    The marker `zenml_stack` gives it arguments: `@pytest.mark.zenml_stack(secrets={"service": {"token": "x"}})`.
    """
    # Here, because this plugin is loaded for test suites that have nothing to do with it.
    from zenml.testing.isolation import isolated_stack

    options = {}
    for mark in reversed(list(request.node.iter_markers("zenml_stack"))):  # the nearest last
        options.update(mark.kwargs)
    with isolated_stack(tmp_path_factory.mktemp("zenml"), **options) as stack:
        yield stack
