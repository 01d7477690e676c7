"""Manifests of integrations: in the tree, and of other distributions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from zenml.enums import StackComponentType
from zenml.exceptions import IntegrationError
from zenml.stack.flavors import all_flavors, find_flavor, load_flavor
from zenml.stack.integrations import built_in_integrations, integrations


def install(folder: Path, module: str, value: str) -> None:
    """A distribution with an entry point, as an installer leaves it."""
    (folder / "outside_integration.py").write_text(module)
    information = folder / "outside-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(f"[zenml.integrations]\noutside = {value}\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    integrations.cache_clear()
    yield tmp_path
    integrations.cache_clear()
    sys.modules.pop("outside_integration", None)
    sys.modules.pop("outside_flavor", None)


MANIFEST = """
from zenml.enums import StackComponentType
from zenml.model.records import FlavorRecord
from zenml.stack import Integration

INTEGRATION = Integration(
    "outside",
    requirements=("outside>=1",),
    flavors=(FlavorRecord(StackComponentType.ORCHESTRATOR, "outer", "outside_flavor.Outer", "outside"),),
)
"""


def test_another_distribution_brings_flavors_that_are_listed_without_being_imported(folder: Path) -> None:
    install(folder, MANIFEST, "outside_integration:INTEGRATION")
    listed = {f.name: f for f in all_flavors(StackComponentType.ORCHESTRATOR)}
    assert listed["outer"].integration == "outside"
    assert next(i for i in integrations() if i.name == "outside").is_installed
    assert "outside_flavor" not in sys.modules
    (folder / "outside_flavor.py").write_text(
        "from zenml.orchestrators import LocalOrchestrator\nclass Outer(LocalOrchestrator):\n    FLAVOR = 'outer'\n"
    )
    assert load_flavor(find_flavor(StackComponentType.ORCHESTRATOR, "outer")).FLAVOR == "outer"


@pytest.mark.parametrize(
    ("module", "value", "message"),
    [
        ("", "outside_integration:INTEGRATION", "'outside' .* cannot be loaded"),
        (
            "INTEGRATION = 3",
            "outside_integration:INTEGRATION",
            "is a int; expected a zenml.stack.Integration",
        ),
    ],
)
def test_a_broken_one_is_named(folder: Path, module: str, value: str, message: str) -> None:
    install(folder, module, value)
    with pytest.raises(IntegrationError, match=message):
        integrations()


def test_those_in_the_tree_are_strings_that_lead_somewhere() -> None:
    for integration in built_in_integrations():
        # What is spoken to by its command or by HTTP needs no package here.
        assert integration.requirements or integration.name in ("airflow", "slurm")
        # Spark is large, and for the tests of engines alone.
        assert integration.is_installed or integration.name == "spark"
        assert not [type_ for type_ in integration.materializers if "." not in type_]
