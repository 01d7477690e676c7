"""The rules between stacks, components and flavors."""

import logging
from uuid import uuid4

import pytest

from zenml.enums import StackComponentType as T
from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    EntityExistsError,
    InUseError,
    InvalidNameError,
    SecretError,
    StackComponentExistsError,
    StackExistsError,
    StackValidationError,
)
from zenml.model.records import ComponentRecord, FlavorRecord, StackRecord
from zenml.profiles.registry import Registry
from zenml.storage.memory import Memory

ALL = {T.ORCHESTRATOR: "default", T.METADATA_STORE: "default", T.ARTIFACT_STORE: "default"}


def component(type_: T, name: str = "default", flavor: str = "local", **configuration) -> ComponentRecord:
    return ComponentRecord(type_, name, flavor, uuid4(), configuration)


def filled(path: str = "/data") -> Registry:
    registry = Registry(Memory())
    registry.register_stack(
        StackRecord("default", ALL),
        [
            component(T.ORCHESTRATOR),
            component(T.METADATA_STORE, flavor="sqlite", uri=f"{path}/metadata.db"),
            component(T.ARTIFACT_STORE, path=path),
        ],
    )
    return registry


@pytest.fixture
def registry() -> Registry:
    return filled()


@pytest.fixture
def messages(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "zenml")
    caplog.clear()
    return caplog


def everything(registry: Registry) -> list:
    return [registry.stacks(), [registry.components(type_) for type_ in T], registry.flavors()]


# Stacks


def test_a_stack_is_registered_with_its_new_components(messages):
    filled()
    assert messages.messages == [
        "Registered stack component with type 'orchestrator' and name 'default'.",
        "Registered stack component with type 'metadata_store' and name 'default'.",
        "Registered stack component with type 'artifact_store' and name 'default'.",
        "Registered stack with name 'default'.",
    ]


def test_an_equal_component_is_reused(registry, messages):
    registry.register_stack(StackRecord("custom", ALL), [component(T.ARTIFACT_STORE, path="/data")])
    assert messages.messages == ["Registered stack with name 'custom'."]


def test_a_different_component_of_the_same_name_is_refused_and_nothing_is_registered(registry, messages):
    before = everything(registry)
    with pytest.raises(StackComponentExistsError, match="another configuration: artifact store 'default'"):
        registry.register_stack(
            StackRecord("custom", {**ALL, T.ORCHESTRATOR: "new"}),
            [component(T.ORCHESTRATOR, "new"), component(T.ARTIFACT_STORE, path="/other")],
        )
    assert everything(registry) == before
    assert messages.messages == []


def test_a_stack_needs_a_free_name_and_known_and_sufficient_components(registry):
    with pytest.raises(StackExistsError, match="Stack 'default' already exists"):
        registry.register_stack(StackRecord("default", ALL))
    with pytest.raises(
        DoesNotExistException, match=r"Artifact store 'defualt' does not exist\. Did you mean 'default'\?"
    ):
        registry.register_stack(StackRecord("custom", {**ALL, T.ARTIFACT_STORE: "defualt"}))
    with pytest.raises(
        StackValidationError, match="The stack 'custom' has no artifact store and no metadata store"
    ):
        registry.register_stack(StackRecord("custom", {T.ORCHESTRATOR: "default"}))


@pytest.mark.parametrize(
    "name", ["", "..", "../evil", "a/b", " a", "a ", "a\nb", "a\x00b", "--foo=1", "x" * 191, 3]
)
def test_names_that_leave_their_folder_are_refused(registry, name):
    for register in (
        lambda: registry.register_stack(StackRecord(name, ALL)),
        lambda: registry.update_stack("default", StackRecord(name, ALL)),
        lambda: registry.register_component(component(T.ORCHESTRATOR, name)),
        lambda: registry.update_component(T.ORCHESTRATOR, "default", component(T.ORCHESTRATOR, name)),
        lambda: registry.copy_stack("default", name, registry),
        lambda: registry.copy_component(T.ORCHESTRATOR, "default", name, registry),
    ):
        with pytest.raises(InvalidNameError, match="cannot be the name of a"):
            register()


def test_a_stack_is_updated_renamed_and_deleted(registry, messages):
    registry.update_stack("default", StackRecord("renamed", ALL))
    assert registry.deregister_stack("renamed").name == "renamed"

    assert registry.stacks() == []
    assert len(registry.components(T.ARTIFACT_STORE)) == 1
    assert messages.messages == [
        "Updated stack with name 'default'.",
        "Deregistered stack with name 'renamed'.",
    ]
    with pytest.raises(DoesNotExistException, match=r"Stack 'renamed' does not exist\.$"):
        registry.deregister_stack("renamed")


def test_a_stack_is_not_renamed_to_a_name_that_is_taken(registry):
    registry.register_stack(StackRecord("custom", ALL))
    with pytest.raises(StackExistsError):
        registry.update_stack("custom", StackRecord("default", ALL))
    assert [stack.name for stack in registry.stacks()] == ["custom", "default"]


# Components


def test_a_component_is_updated_with_its_own_type_in_the_message(registry, messages):
    registry.update_component(T.ARTIFACT_STORE, "default", component(T.ARTIFACT_STORE, path="/new"))
    assert messages.messages == ["Updated stack component with type 'artifact_store' and name 'default'."]


def test_stacks_follow_a_component_that_is_renamed(registry):
    registry.update_component(T.ARTIFACT_STORE, "default", component(T.ARTIFACT_STORE, "new", path="/data"))
    assert registry.stack("default").components[T.ARTIFACT_STORE] == "new"
    assert registry.stack_spec("default").components[T.ARTIFACT_STORE].configuration == {"path": "/data"}


def test_a_component_keeps_its_type(registry):
    with pytest.raises(
        ConfigurationError, match="type 'alerter' cannot take the place of the artifact store 'default'"
    ):
        registry.update_component(T.ARTIFACT_STORE, "default", component(T.ALERTER, flavor="webhook"))


def test_a_component_in_use_is_not_deleted(registry, messages):
    with pytest.raises(InUseError, match="The artifact store 'default' is used by the stack 'default'"):
        registry.deregister_component(T.ARTIFACT_STORE, "default")
    registry.register_component(component(T.ARTIFACT_STORE, "idle"))
    registry.deregister_component(T.ARTIFACT_STORE, "idle")
    assert messages.messages[-1] == "Deregistered stack component (type: artifact_store) with name 'idle'."


def test_a_component_of_an_unknown_flavor_is_refused(registry):
    with pytest.raises(
        DoesNotExistException, match=r"There is no artifact store flavor 'locl'\. Did you mean 'local'\?"
    ):
        registry.register_component(component(T.ARTIFACT_STORE, "x", "locl"))


# Flavors


def test_a_flavor_is_registered_once_and_not_over_a_built_in_one(registry):
    flavor = FlavorRecord(T.ARTIFACT_STORE, "custom", "my.Store")
    registry.register_flavor(flavor)
    registry.register_flavor(FlavorRecord(T.ORCHESTRATOR, "custom", "my.Orchestrator"))

    assert registry.flavors(T.ARTIFACT_STORE) == [flavor]
    assert len(registry.flavors()) == 2
    with pytest.raises(EntityExistsError, match="The artifact store flavor 'custom' is registered already"):
        registry.register_flavor(flavor)
    with pytest.raises(EntityExistsError, match="The artifact store flavor 'local' is built in"):
        registry.register_flavor(FlavorRecord(T.ARTIFACT_STORE, "local", "my.Store"))
    with pytest.raises(InvalidNameError):
        registry.register_flavor(FlavorRecord(T.ARTIFACT_STORE, "../x", "my.Store"))


def test_a_flavor_in_use_is_not_deleted(registry):
    registry.register_flavor(FlavorRecord(T.ARTIFACT_STORE, "custom", "my.Store"))
    registry.register_component(component(T.ARTIFACT_STORE, "mine", "custom"))

    with pytest.raises(
        InUseError, match="The artifact store flavor 'custom' is used by the component 'mine'"
    ):
        registry.deregister_flavor(T.ARTIFACT_STORE, "custom")
    registry.deregister_component(T.ARTIFACT_STORE, "mine")
    registry.deregister_flavor(T.ARTIFACT_STORE, "custom")
    assert registry.flavors() == []
    with pytest.raises(DoesNotExistException, match="Artifact store flavor 'custom' does not exist"):
        registry.deregister_flavor(T.ARTIFACT_STORE, "custom")


# Copies


def test_a_copy_reuses_equal_components(registry):
    target = filled()
    copied = registry.copy_stack("default", "copy", target)

    assert copied == StackRecord("copy", ALL)
    assert [len(target.components(type_)) for type_ in ALL] == [1, 1, 1]


def test_a_copy_into_an_empty_profile_brings_components_and_custom_flavors(registry):
    registry.register_flavor(FlavorRecord(T.ARTIFACT_STORE, "custom", "my.Store"))
    registry.register_component(component(T.ARTIFACT_STORE, "mine", "custom", path="custom://"))
    registry.register_stack(StackRecord("mine", {**ALL, T.ARTIFACT_STORE: "mine"}))
    target = Registry(Memory())
    registry.copy_stack("mine", "mine", target)

    assert target.stack_spec("mine") == registry.stack_spec("mine")


def test_a_copy_of_different_components_is_refused_as_a_whole(registry):
    target = filled("/other")
    registry.register_component(component(T.ALERTER, "new", "webhook"))
    registry.update_stack("default", StackRecord("default", {**ALL, T.ALERTER: "new"}))
    before = everything(target)

    with pytest.raises(StackComponentExistsError) as caught:
        registry.copy_stack("default", "copy", target)

    assert "metadata store 'default', artifact store 'default'" in str(caught.value) or (
        "artifact store 'default', metadata store 'default'" in str(caught.value)
    )
    assert "`--rename`" in str(caught.value)
    assert "`--overwrite`" in str(caught.value)
    assert everything(target) == before


def test_a_copy_may_rename_what_differs_and_does_it_once(registry):
    target = filled("/other")
    first = registry.copy_stack("default", "first", target, on_conflict="rename")
    second = registry.copy_stack("default", "second", target, on_conflict="rename")

    renamed = {T.ORCHESTRATOR: "default", T.METADATA_STORE: "default_2", T.ARTIFACT_STORE: "default_2"}
    assert first.components == second.components == renamed
    assert target.component(T.ARTIFACT_STORE, "default").configuration == {"path": "/other"}
    assert target.component(T.ARTIFACT_STORE, "default_2").configuration == {"path": "/data"}


def test_a_copy_may_overwrite_what_differs(registry):
    target = filled("/other")
    registry.copy_stack("default", "default", target, on_conflict="overwrite")

    assert target.component(T.ARTIFACT_STORE, "default").configuration == {"path": "/data"}
    assert [stack.name for stack in target.stacks()] == ["default"]


def test_a_copy_needs_a_free_name(registry):
    for on_conflict in ("error", "rename"):
        with pytest.raises(StackExistsError, match="Stack 'default' already exists"):
            registry.copy_stack("default", "default", filled(), on_conflict=on_conflict)
    with pytest.raises(
        DoesNotExistException, match=r"Stack 'defalt' does not exist\. Did you mean 'default'\?"
    ):
        registry.copy_stack("defalt", "copy", registry)


def test_a_custom_flavor_of_another_class_stops_a_copy(registry):
    target = filled()
    for where, source in ((registry, "my.Store"), (target, "your.Store")):
        where.register_flavor(FlavorRecord(T.ARTIFACT_STORE, "custom", source))
    registry.register_component(component(T.ARTIFACT_STORE, "mine", "custom"))
    registry.register_stack(StackRecord("mine", {**ALL, T.ARTIFACT_STORE: "mine"}))

    with pytest.raises(EntityExistsError, match=r"another class: 'your\.Store', not 'my\.Store'"):
        registry.copy_stack("mine", "mine", target)


def test_a_component_is_copied_with_a_uuid_of_its_own(registry):
    copied = registry.copy_component(T.ARTIFACT_STORE, "default", "copy", registry)

    assert copied.configuration == {"path": "/data"}
    assert copied.uuid != registry.component(T.ARTIFACT_STORE, "default").uuid
    with pytest.raises(StackComponentExistsError, match="Artifact store 'copy' already exists"):
        registry.copy_component(T.ARTIFACT_STORE, "default", "copy", registry)


# Export and import


def test_an_export_can_be_imported_elsewhere(registry):
    registry.register_flavor(FlavorRecord(T.ALERTER, "shout", "my.Shouter"))
    registry.register_component(component(T.ALERTER, "loud", "shout", token="{{env.TOKEN}}"))
    registry.update_stack("default", StackRecord("default", {**ALL, T.ALERTER: "loud"}))

    document = registry.export_stack("default")
    assert document["components"]["alerter"] == {"name": "loud", "flavor": "shout", "token": "{{env.TOKEN}}"}
    assert document["flavors"] == {"alerter": {"shout": "my.Shouter"}}

    target = Registry(Memory())
    imported = target.import_stack(document, "again")
    assert imported.stack.name == "again"
    assert (imported.requirements, imported.unknown_flavors, imported.unknown_types) == ((), (), ())
    assert target.export_stack("again") == {**document, "stack_name": "again"}
    assert target.component(T.ALERTER, "loud").secret_fields == ("token",)


def test_an_import_keeps_what_it_does_not_understand(registry):
    document = registry.export_stack("default")
    document["owner"] = {"team": "ml"}
    document["components"]["teleporter"] = {"name": "beam", "flavor": "star"}
    document["components"]["artifact_store"] |= {"name": "far", "flavor": "moon", "crater": 3}

    imported = registry.import_stack(document, "copy")

    assert imported.unknown_flavors == ("artifact_store/moon",)
    assert imported.unknown_types == ("teleporter",)
    assert registry.export_stack("copy") == {**document, "stack_name": "copy"}


def test_an_import_meets_conflicts_as_a_copy_does(registry):
    document = filled("/other").export_stack("default")
    with pytest.raises(StackComponentExistsError, match="`--rename`"):
        registry.import_stack(document, "new")
    imported = registry.import_stack(document, "new", on_conflict="rename")
    assert imported.stack.components[T.ARTIFACT_STORE] == "default_2"
    with pytest.raises(StackExistsError):
        registry.import_stack(document)


def test_an_import_takes_no_secret_in_clear(registry):
    document = registry.export_stack("default")
    document["components"]["metadata_store"] = {
        "name": "pg",
        "flavor": "postgresql",
        "password": "s3cret",
        "host": "h",
    }
    with pytest.raises(SecretError) as caught:
        registry.import_stack(document, "copy")
    assert "holds a secret in clear in: password" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "expected a mapping with 'components', not list"),
        ({}, "components: must map types of component to their fields."),
        ({"components": {"orchestrator": []}}, "components.orchestrator: must map fields to values."),
        (
            {"components": {"orchestrator": {"name": "a"}}},
            "components.orchestrator.flavor: is required, and must be a text.",
        ),
        ({"stack_name": 3, "components": {"orchestrator": {}}}, "stack_name: must be a text."),
        ({"components": {"orchestrator": {}}, "flavors": []}, "flavors: must map types of component"),
    ],
)
def test_a_document_that_is_no_stack(registry, document, message):
    with pytest.raises(ConfigurationError) as caught:
        registry.import_stack(document, "copy")
    assert message in str(caught.value)
