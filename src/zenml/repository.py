"""Repository: profiles, stacks and finished runs, as Python sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zenml.config.profile_config import ProfileConfiguration
from zenml.context import running_step
from zenml.exceptions import (
    ForbiddenRepositoryAccessError,
    StackComponentExistsError,
    StackComponentInterfaceError,
    sentence,
)
from zenml.profiles import active
from zenml.profiles.profiles import get_profile, open_registry

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.enums import StackComponentType
    from zenml.model.records import ComponentRecord, FlavorRecord, StackRecord
    from zenml.model.schedules import ScheduleRecord
    from zenml.post_execution import PipelineRunView, PipelineView
    from zenml.profiles.exchange import ImportedStack
    from zenml.profiles.registry import OnConflict, Registry
    from zenml.secrets_managers import BaseSecretsManager
    from zenml.stack import Stack, StackComponent


class Repository:
    """The front door to the active profile.

    `Repository()` is one object, which follows the working directory, the environment and the configuration: each use finds
    out anew what is active. `Repository(root=...)` stays with the repository at `root`, `Repository(profile=...)` with a profile
    and its active stack.

    Inside a running step it gives the stack that the step runs on and the runs in its metadata store; all else raises
    `ForbiddenRepositoryAccessError`.

    Everywhere: unknown names raise `DoesNotExistException` (a KeyError), taken ones `AlreadyExistsException` (a ValueError); an
    active profile or stack that does not exist raises `ActiveSettingError`, which says how to mend it.
    """

    _instance: ClassVar[Any] = None
    _root: Path | None
    _profile: str | None

    def __new__(
        cls, root: Path | str | None = None, profile: ProfileConfiguration | str | None = None
    ) -> Self:
        if root is None and profile is None:
            if cls._instance is None:
                cls._instance = cls._make(None, None)
            return cls._instance  # type: ignore[no-any-return]  # ClassVar and Self do not go together
        return cls._make(root, profile)

    @classmethod
    def _make(cls, root: Path | str | None, profile: ProfileConfiguration | str | None) -> Self:
        self = super().__new__(cls)
        self._root = None if root is None else Path(root).expanduser().resolve()
        self._profile = profile.name if isinstance(profile, ProfileConfiguration) else profile
        return self

    @classmethod
    def get_instance(cls) -> Self | None:
        """The object that `Repository()` gives, if it was made."""
        return cls._instance  # type: ignore[no-any-return]  # ClassVar and Self do not go together

    # The repository

    @staticmethod
    def initialize(root: Path | None = None) -> None:
        """Make a folder (the working directory) a repository. Raises InitializationException if it is one."""
        _forbid_in_step("initialize a repository")
        active.initialize_repository(root)

    @staticmethod
    def is_repository_directory(path: Path) -> bool:
        """Whether a folder is a repository: whether it holds a folder `.zen`."""
        return active.is_repository_directory(path)

    @staticmethod
    def find_repository(path: Path | None = None, enable_warnings: bool = False) -> Path | None:
        """The root of the repository, or None.

        Only `path` is looked at if it is given, or what ZENML_REPOSITORY_PATH names; else the working directory and its parents.
        """
        root = active.find_repository(path)
        if root is None and enable_warnings:
            active.report_missing_repository()
        return root

    @property
    def root(self) -> Path | None:
        """The root of the repository, or None outside of one."""
        if self._profile is not None:
            return None
        return self._root or active.find_repository()

    @property
    def config_directory(self) -> Path | None:
        """The folder `.zen` of the repository."""
        root = self.root
        return None if root is None else root / ".zen"

    def activate_root(self, root: Path | None = None) -> None:
        """Stay with the repository at `root` from now on, or, without one, follow the working directory again."""
        _forbid_in_step("change the repository")
        self._root = None if root is None else Path(root).expanduser().resolve()

    # The profile

    @property
    def active_profile(self) -> ProfileConfiguration:
        """The active profile."""
        _forbid_in_step("use a profile")
        return active.active_profile(self._active())

    @property
    def active_profile_name(self) -> str:
        """The name of the active profile."""
        return self.active_profile.name

    def activate_profile(self, profile_name: str) -> None:
        """Make a profile active: in the repository, or outside of one globally."""
        _forbid_in_step("activate a profile")
        active.activate_profile(profile_name, root=self.root)

    @property
    def registry(self) -> Registry:
        """The records of the active profile."""
        return open_registry(self.active_profile, root=self.root)

    # Stacks

    @property
    def active_stack(self) -> Stack:
        """The active stack; inside a step the one that the step runs on."""
        if step := running_step():
            return step.stack  # type: ignore[no-any-return]  # the context lies below the stack
        return self.get_stack(self.active_stack_name)

    @property
    def active_stack_name(self) -> str:
        """The name of the active stack, which exists."""
        if step := running_step():
            return str(step.stack.name)
        found = self._active()
        return active.check_stack(found, active.active_profile(found))

    def activate_stack(self, name: str) -> None:
        """Make a stack active: in the repository, or outside of one in the profile."""
        _forbid_in_step("activate a stack")
        active.activate_stack(self.active_profile, name, root=self.root)

    @property
    def stacks(self) -> list[Stack]:
        """All stacks, sorted by name. Imports the flavors of all components."""
        from zenml.stack import Stack

        return [Stack.from_spec(spec, self.root) for spec in self.registry.stack_specs()]

    @property
    def stack_configurations(self) -> dict[str, dict[StackComponentType, str]]:
        """The names of the components of each stack. Imports no flavor."""
        return {stack.name: dict(stack.components) for stack in self.registry.stacks()}

    def get_stack(self, name: str) -> Stack:
        """The stack of that name."""
        from zenml.stack import Stack

        return Stack.from_spec(self.registry.stack_spec(name), self.root)

    def register_stack(self, stack: Stack) -> None:
        """Register a stack, and those of its components that are not registered yet.

        Raises:
            StackValidationError: its components do not fit together.
            StackComponentExistsError: one of another configuration has the name of a component.
            SecretError: a component holds a secret in clear, and the active stack has no secrets manager to move it to.
        """
        _forbid_in_step("register a stack")
        stack.validate()
        self.registry.register_stack(stack.to_record(), self._records(stack))

    def update_stack(self, name: str, stack: Stack) -> None:
        """Put `stack` in the place of the one called `name`; if it has another name, the settings that name it follow.

        Raises:
            StackValidationError, StackComponentExistsError, SecretError: as `register_stack` does.
        """
        _forbid_in_step("update a stack")
        stack.validate()
        self.registry.update_stack(name, stack.to_record(), self._records(stack))

    def deregister_stack(self, name: str) -> None:
        """Forget a stack; its components stay. Raises InUseError (a ValueError) if it is active."""
        self.registry.deregister_stack(name)

    def copy_stack(
        self,
        source_name: str,
        target_name: str,
        *,
        from_profile: str | None = None,
        to_profile: str | None = None,
        on_conflict: OnConflict = "error",
    ) -> StackRecord:
        """Copy a stack and its components within the active profile, or between profiles.

        A component that the target has in equal configuration is reused; for one that differs, see `on_conflict`: "error",
        "rename" gives the copy a free name, "overwrite" changes the target's.
        """
        source, target = self._registry(from_profile), self._registry(to_profile)
        return source.copy_stack(source_name, target_name, target, on_conflict=on_conflict)

    def export_stack(self, name: str) -> dict[str, Any]:
        """A stack with its components as a document (JSON data) without any secret."""
        return self.registry.export_stack(name)

    def import_stack(
        self, document: Mapping[str, Any], name: str | None = None, *, on_conflict: OnConflict = "error"
    ) -> ImportedStack:
        """Register the stack of a document that `export_stack` gave; the result says what is missing on this machine to use it."""
        return self.registry.import_stack(document, name, on_conflict)

    # Components

    def get_stack_components(self, component_type: StackComponentType) -> list[StackComponent]:
        """All components of a type, sorted by name."""
        registry = self.registry
        return [self._component(record, registry) for record in registry.components(component_type)]

    def get_stack_component(self, component_type: StackComponentType, name: str) -> StackComponent:
        """The component of that type and name."""
        registry = self.registry
        return self._component(registry.component(component_type, name), registry)

    def register_stack_component(self, component: StackComponent) -> None:
        """Register a component. A secret that it holds in clear is moved into the secrets manager of the active stack.

        Raises:
            SecretError: there is no secrets manager to move it to.
        """
        import logging

        _forbid_in_step("register a component")
        self.registry.register_component(self._new_record(component))
        if message := component.post_registration_message:
            logging.getLogger(__name__).info(message)

    def update_stack_component(
        self, name: str, component_type: StackComponentType, component: StackComponent
    ) -> None:
        """Put `component` in the place of the one called `name`; if it has another name, the stacks that use it follow."""
        _forbid_in_step("update a component")
        self.registry.update_component(component_type, name, self._record(component))

    def deregister_stack_component(self, component_type: StackComponentType, name: str) -> None:
        """Forget a component. Raises InUseError (a ValueError), which names the stacks that use it."""
        self.registry.deregister_component(component_type, name)

    # Flavors

    def get_flavor(self, name: str, component_type: StackComponentType) -> type[StackComponent]:
        """The class of a flavor: built in, of an integration, or custom."""
        return self._flavor(component_type, name, self.registry)

    def register_flavor(self, source: str) -> FlavorRecord:
        """Register a component class as a flavor: "path.to.Class", imported with the root of the repository first on the path.

        Raises:
            StackComponentInterfaceError: it cannot be imported, or is no class that can be a flavor.
            EntityExistsError: its type has a flavor of that name already.
        """
        from zenml.model.records import FlavorRecord
        from zenml.stack.flavors import check_flavor_class, import_class

        _forbid_in_step("register a flavor")
        root = self.root
        try:
            class_ = import_class(source, root)
        except ImportError as error:
            where = (
                f"the root of the repository, {str(root)!r}, was first on the path"
                if root
                else "there is no repository here"
            )
            raise StackComponentInterfaceError(
                f"The flavor {source!r} cannot be imported: {sentence(error)} Custom flavors are imported relative to the root of the "
                f"repository: {where}."
            ) from error
        check_flavor_class(class_, source)
        record = FlavorRecord(class_.TYPE, class_.FLAVOR, source)
        self.registry.register_flavor(record)
        return record

    def deregister_flavor(self, name: str, component_type: StackComponentType) -> None:
        """Forget a custom flavor. Raises InUseError, which names the components that are of it."""
        self.registry.deregister_flavor(component_type, name)

    # Schedules

    @property
    def schedules(self) -> list[ScheduleRecord]:
        """The pipelines that `zenml schedule run` runs at their times, sorted by name."""
        _forbid_in_step("use schedules")
        return self.registry.schedules()

    def get_schedule(self, name: str) -> ScheduleRecord:
        """The schedule of that name, with the time that it was run for last, and what came of it."""
        _forbid_in_step("use schedules")
        return self.registry.schedule(name)

    def delete_schedule(self, name: str) -> None:
        """Forget a schedule. Its runs stay, and one that is under way goes on."""
        _forbid_in_step("delete a schedule")
        self.registry.deregister_schedule(name)

    # Finished runs

    def get_pipelines(self, stack_name: str | None = None) -> list[PipelineView]:
        """The pipelines in the metadata store of a stack (the active one)."""
        from zenml.post_execution import pipelines_of

        stack = self._stack_of_runs(stack_name)
        return pipelines_of(stack.metadata_store, stack.artifact_store)

    def get_pipeline(self, pipeline_name: str, stack_name: str | None = None) -> PipelineView | None:
        """The pipeline of that name in the metadata store of a stack (the active one), or None if it never ran there."""
        from zenml.post_execution import pipeline_of

        stack = self._stack_of_runs(stack_name)
        return pipeline_of(stack.metadata_store, stack.artifact_store, pipeline_name)

    def get_run(self, name: str, stack_name: str | None = None) -> PipelineRunView | None:
        """The run of that name in the metadata store of a stack (the active one), or None."""
        from zenml.post_execution import run_of

        stack = self._stack_of_runs(stack_name)
        return run_of(stack.metadata_store, stack.artifact_store, name)

    # Inside

    def _active(self) -> active.Active:
        found = active.resolve(root=self._root, profile_must_exist=False)
        if self._profile is None:
            if found.root is None:
                active.report_missing_repository()
            return found
        own = get_profile(self._profile)
        return replace(found, profile=own.name, stack=own.active_stack, stack_setting="global", root=None)

    def _registry(self, profile: str | None) -> Registry:
        _forbid_in_step("use a profile")
        return self.registry if profile is None else open_registry(profile, root=self.root)

    def _stack_of_runs(self, name: str | None) -> Stack:
        if name is None or (running_step() and name == self.active_stack_name):
            return self.active_stack
        return self.get_stack(name)

    def _flavor(self, type_: StackComponentType, name: str, registry: Registry) -> type[StackComponent]:
        from zenml.stack.flavors import find_flavor, load_flavor

        return load_flavor(find_flavor(type_, name, registry.flavors(type_)), self.root)

    def _component(self, record: ComponentRecord, registry: Registry) -> StackComponent:
        return self._flavor(record.type, record.flavor, registry).from_record(record)

    def _records(self, stack: Stack) -> list[ComponentRecord]:
        return [self._new_record(component, stack.secrets_manager) for component in stack.components.values()]

    def _new_record(
        self, component: StackComponent, manager: BaseSecretsManager | None = None
    ) -> ComponentRecord:
        """The record of a component that is to be registered.

        Its literal secrets are moved into `manager`, else into that of the active stack.
        """
        if component.literal_secrets() and any(
            known.name == component.name for known in self.registry.components(component.TYPE)
        ):
            # Seen before its secrets are moved: they would take the place of those of the registered one.
            raise StackComponentExistsError(
                f"{component.TYPE.display.capitalize()} '{component.name}' already exists: choose another name, or update it."
            )
        return self._record(component, manager)

    def _record(
        self, component: StackComponent, manager: BaseSecretsManager | None = None
    ) -> ComponentRecord:
        if component.literal_secrets():
            manager = manager or self.active_stack.secrets_manager
            if manager is not None:
                return manager.keep_literals(component).to_record()
        return component.to_record()


def _forbid_in_step(what: str) -> None:
    if step := running_step():
        raise ForbiddenRepositoryAccessError(
            f"The step '{step.step_name}' cannot {what}: inside a running step, Repository() gives the active stack and finished "
            "runs only. Do this before or after the pipeline's run."
        )
