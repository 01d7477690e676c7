"""Stacks: what belongs together, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.container_registries import DefaultContainerRegistry
from zenml.enums import Reach, StackComponentType
from zenml.exceptions import DoesNotExistException, StackComponentInterfaceError, StackValidationError
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.model.records import FlavorRecord
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Stack, StackValidator
from zenml.stack.flavors import check_flavor_class, find_flavor, import_class, load_flavor


class Cluster(LocalOrchestrator):
    FLAVOR: ClassVar[str] = "cluster"

    here: bool = False

    @property
    def spread(self) -> Reach:
        return Reach.NETWORK

    @property
    def is_here(self) -> bool:
        return self.here


class Demanding(LocalOrchestrator):
    FLAVOR: ClassVar[str] = "demanding"

    @property
    def validator(self) -> StackValidator:
        return StackValidator(
            {StackComponentType.ALERTER}, lambda stack: (stack.name == "good", "its name is bad")
        )


def make(path: Path, **components: Any) -> Stack:
    return Stack(
        **{
            "name": "s",
            "orchestrator": LocalOrchestrator(name="o"),
            "metadata_store": SQLiteMetadataStore(name="m", uri=str(path / "m.db")),
            "artifact_store": LocalArtifactStore(name="a", path=str(path / "a")),
            **components,
        }
    )


def test_a_stack_gives_its_components(tmp_path: Path) -> None:
    stack = make(tmp_path)
    assert [type_.value for type_ in stack.components] == ["orchestrator", "metadata_store", "artifact_store"]
    assert stack.artifact_store.path == str(tmp_path / "a")
    assert stack.alerter is None
    assert repr(stack) == "Stack(name='s', orchestrator='o', metadata_store='m', artifact_store='a')"


def test_a_stack_round_trips_through_its_spec(tmp_path: Path) -> None:
    stack = make(tmp_path)
    assert Stack.from_spec(stack.to_spec()).components == stack.components


def test_required_components_are_required(tmp_path: Path) -> None:
    with pytest.raises(StackValidationError, match="has no orchestrator and no artifact store"):
        make(tmp_path, orchestrator=None, artifact_store=None)


def test_a_component_has_its_place(tmp_path: Path) -> None:
    with pytest.raises(StackValidationError, match="cannot be the orchestrator of the stack 's'"):
        make(tmp_path, orchestrator=LocalArtifactStore(name="a", path=str(tmp_path)))


def test_components_must_reach_as_far_as_the_steps_are_spread(tmp_path: Path) -> None:
    with pytest.raises(StackValidationError) as caught:
        make(tmp_path, orchestrator=Cluster(name="c")).validate()
    assert "metadata store 'm' can only be used from the same host" in str(caught.value)
    assert "artifact store 'a' can only be used from the same host" in str(caught.value)


def test_a_container_registry_of_this_machine_will_do_for_an_engine_of_this_machine(tmp_path: Path) -> None:
    for is_here in (True, False):
        orchestrator = Cluster(name="c", here=is_here)
        registry = DefaultContainerRegistry(name="r", uri="localhost:5000")
        with pytest.raises(StackValidationError) as caught:
            make(tmp_path, orchestrator=orchestrator, container_registry=registry).validate()
        assert ("The container registry 'r' can only be used" in str(caught.value)) is not is_here


def test_components_may_make_demands(tmp_path: Path) -> None:
    with pytest.raises(
        StackValidationError, match="needs a component of each of these types, and has none: alerter"
    ):
        make(tmp_path, orchestrator=Demanding(name="d")).validate()


def test_an_unknown_flavor_is_answered_with_the_nearest() -> None:
    with pytest.raises(
        DoesNotExistException, match=r"no artifact store flavor 'locla'. Did you mean 'local'\?"
    ):
        find_flavor(StackComponentType.ARTIFACT_STORE, "locla")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.Thing", "No module named 'nowhere'"),
        ("zenml.orchestrators.LocalOrchestratr", "Did you mean 'LocalOrchestrator'"),
        ("Thing", "no import path"),
    ],
)
def test_a_source_that_leads_nowhere(source: str, message: str) -> None:
    with pytest.raises(ImportError, match=message):
        import_class(source)


def test_a_flavor_of_the_repository_is_imported_from_its_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    (tmp_path / "own_flavor_module.py").write_text(
        "from zenml.orchestrators import LocalOrchestrator\n"
        "class Own(LocalOrchestrator):\n    FLAVOR = 'own'\n"
    )
    flavor = FlavorRecord(StackComponentType.ORCHESTRATOR, "own", "own_flavor_module.Own")
    assert load_flavor(flavor, tmp_path).FLAVOR == "own"


def test_a_module_that_fails_is_named() -> None:
    flavor = FlavorRecord(StackComponentType.ORCHESTRATOR, "own", "gone_module.Own")
    with pytest.raises(
        StackComponentInterfaceError, match=r"'own' cannot be imported from 'gone_module.Own'"
    ):
        load_flavor(flavor)


def test_what_cannot_serve_as_a_flavor() -> None:
    class Abstract(Cluster):
        FLAVOR: ClassVar[str] = ""

    with pytest.raises(StackComponentInterfaceError, match="is no stack component"):
        check_flavor_class(dict, "builtins.dict")
    with pytest.raises(StackComponentInterfaceError, match="is of the type orchestrator"):
        check_flavor_class(Cluster, "m.Cluster", StackComponentType.ARTIFACT_STORE)
    with pytest.raises(StackComponentInterfaceError, match="must set the class variable FLAVOR"):
        check_flavor_class(Abstract, "m.Abstract")
    from zenml.step_operators import BaseStepOperator

    class Missing(BaseStepOperator):
        FLAVOR: ClassVar[str] = "missing"

    with pytest.raises(StackComponentInterfaceError, match="is abstract: it must implement launch"):
        check_flavor_class(Missing, "m.Missing")
