"""The rules between the records of a profile: stacks, components, custom flavors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

from zenml.enums import StackComponentType
from zenml.exceptions import (
    ConfigurationError,
    EntityExistsError,
    InUseError,
    StackComponentExistsError,
    StackExistsError,
    StackValidationError,
    ZenMLBaseException,
)
from zenml.model.names import check_name
from zenml.model.records import ComponentRecord, FlavorRecord, StackRecord, component_key
from zenml.model.schedules import ScheduleRecord
from zenml.storage.collection import Backend, Collection, Session

if TYPE_CHECKING:
    from zenml.model.deployment import StackSpec
    from zenml.profiles import exchange

logger = logging.getLogger(__name__)

OnConflict = Literal["error", "rename", "overwrite"]


class Pointers(Protocol):
    """Who points at a stack from outside of the registry: the active settings."""

    def check_inactive(self, stack: str) -> None:
        """Raises InUseError if the stack is the active one somewhere."""
        ...

    def follow(self, old: str, new: str) -> None:
        """A stack was renamed."""
        ...


class Registry:
    """The records in a backend. Each method is one transaction: it takes effect as a whole or not at all.

    Unknown names raise `DoesNotExistException` with the nearest known one, taken ones `StackExistsError`,
    `StackComponentExistsError` or `EntityExistsError`.
    """

    def __init__(self, backend: Backend, pointers: Pointers | None = None) -> None:
        self.backend = backend
        self._pointers = pointers

    def initialize(self, stack: StackRecord, components: Iterable[ComponentRecord]) -> bool:
        """Register the first stack; if there are stacks or components already, do nothing and say False."""
        components = list(components)
        with self._write() as records:
            if records.stacks.keys() or records.components.keys():
                return False
            records.add_stack(stack, components)
        return True

    # Stacks

    def stacks(self) -> list[StackRecord]:
        """All stacks, sorted by name."""
        with self._read() as records:
            return list(records.stacks)

    def stack(self, name: str) -> StackRecord:
        """The stack of that name."""
        with self._read() as records:
            return records.stacks.get(name)

    def stack_spec(self, name: str) -> StackSpec:
        """A stack with its components and the custom flavors that they are of: what `Stack.from_spec` takes."""
        with self._read() as records:
            return records.spec(records.stacks.get(name))

    def stack_specs(self) -> list[StackSpec]:
        """All stacks with their components, sorted by name."""
        with self._read() as records:
            return [records.spec(stack) for stack in records.stacks]

    def register_stack(self, stack: StackRecord, new_components: Iterable[ComponentRecord] = ()) -> None:
        """Keep a new stack, and those of its components that are new; one that is registered with equal configuration is reused.

        Raises:
            StackExistsError: the name is taken.
            StackComponentExistsError: a component of that name has another configuration.
            DoesNotExistException: a component is neither registered nor new.
            StackValidationError: a required component is missing.
        """
        components = list(new_components)
        with self._write() as records:
            for component in components:
                records.check_flavor(component)
            records.add_stack(stack, components)

    def update_stack(
        self, name: str, stack: StackRecord, new_components: Iterable[ComponentRecord] = ()
    ) -> None:
        """Put `stack` in the place of the one called `name`; if it has another name, what points at the stack follows.

        Raises:
            DoesNotExistException, StackExistsError, StackComponentExistsError, StackValidationError: as `register_stack` does.
        """
        components = list(new_components)
        with self._write() as records:
            records.stacks.get(name)
            for component in components:
                records.check_flavor(component)
            records.add_new(components)
            records.check_stack(stack)
            records.stacks.replace(stack, key=name)
            records.say("Updated stack with name '%s'.", name)
            if stack.name != name and self._pointers:
                self._pointers.follow(name, stack.name)
            for schedule in records.running_on(name):
                records.schedules.replace(replace(schedule, stack=stack.name))

    def deregister_stack(self, name: str) -> StackRecord:
        """Forget a stack; its components stay. Raises InUseError if it is an active one, or pipelines run on it by a schedule."""
        with self._write() as records:
            removed = records.stacks.remove(name)
            if users := [f"'{schedule.name}'" for schedule in records.running_on(name)]:
                raise InUseError(
                    f"Stack '{name}' cannot be deleted because the {_plural('schedule', users)} {', '.join(users)} run on it: "
                    "delete these first with `zenml schedule delete`."
                )
            if self._pointers:
                self._pointers.check_inactive(name)
            records.say("Deregistered stack with name '%s'.", name)
            return removed

    # Components

    def components(self, type_: StackComponentType) -> list[ComponentRecord]:
        """All components of a type, sorted by name."""
        with self._read() as records:
            return list(records.components.within(type_.value))

    def component(self, type_: StackComponentType, name: str) -> ComponentRecord:
        """The component of that type and name."""
        with self._read() as records:
            return records.components.get(component_key(type_, name))

    def register_component(self, component: ComponentRecord) -> None:
        """Keep a new component. Raises DoesNotExistException if nothing is known of its flavor."""
        with self._write() as records:
            records.check_flavor(component)
            records.add_component(component)

    def update_component(self, type_: StackComponentType, name: str, component: ComponentRecord) -> None:
        """Put `component` in the place of the one called `name`; if it has another name, the stacks that use it follow."""
        check_name(component.name, "stack component")
        if component.type != type_:
            raise ConfigurationError(
                f"A component of type '{component.type}' cannot take the place of the {type_.display} '{name}'."
            )
        with self._write() as records:
            old = records.components.get(component_key(type_, name))
            if component.flavor != old.flavor:
                records.check_flavor(component)
            records.components.replace(component, key=old.key)
            if component.name != name:
                for stack in records.using(type_, name):
                    records.stacks.replace(
                        replace(stack, components={**stack.components, type_: component.name})
                    )
            records.say("Updated stack component with type '%s' and name '%s'.", type_, name)

    def deregister_component(self, type_: StackComponentType, name: str) -> ComponentRecord:
        """Forget a component. Raises InUseError, which names the stacks that use it."""
        with self._write() as records:
            removed = records.components.remove(component_key(type_, name))
            if stacks := [f"'{stack.name}'" for stack in records.using(type_, name)]:
                raise InUseError(
                    f"The {type_.display} '{name}' is used by the {_plural('stack', stacks)} {', '.join(stacks)}: "
                    "change or delete what uses it first."
                )
            records.say("Deregistered stack component (type: %s) with name '%s'.", type_, name)
            return removed

    def copy_component(
        self, type_: StackComponentType, source_name: str, target_name: str, target: Registry
    ) -> ComponentRecord:
        """Copy a component, and its flavor if that is a custom one, into another profile, or within this one.

        The copy keeps the uuid where it is free.
        """
        with self._read() as records:
            component = records.components.get(component_key(type_, source_name))
            flavors = records.custom_flavors([component])
        with target._write() as records:
            records.merge_flavors(flavors, "error")
            copied = records.with_own_uuid(replace(component, name=target_name))
            records.add_component(copied)
            return copied

    # Flavors

    def flavors(self, type_: StackComponentType | None = None) -> list[FlavorRecord]:
        """The custom flavors, of one type or of all, sorted by type and name."""
        with self._read() as records:
            return list(records.flavors if type_ is None else records.flavors.within(type_.value))

    def register_flavor(self, flavor: FlavorRecord) -> None:
        """Keep a custom flavor. Raises EntityExistsError if its name is taken, also by a built-in one or an integration's."""
        check_name(flavor.name, "flavor")
        what = f"The {flavor.type.display} flavor '{flavor.name}'"
        if owner := _owner(flavor.type, flavor.name):
            raise EntityExistsError(f"{what} is {owner}: give your class another FLAVOR.")
        with self._write() as records:
            if existing := records.flavors.find(flavor.key):
                raise EntityExistsError(
                    f"{what} is registered already, as {existing.source!r}: give your class another FLAVOR, or delete that one with "
                    f"`zenml {flavor.type.value.replace('_', '-')} flavor delete {flavor.name}`."
                )
            records.flavors.add(flavor)

    def own_flavor(self, type_: StackComponentType, name: str) -> FlavorRecord:
        """The custom flavor of that type and name. Raises ConfigurationError if that name is a built-in one's or an integration's."""
        if owner := _owner(type_, name):
            raise ConfigurationError(
                f"The {type_.display} flavor '{name}' is {owner}: only flavors of your own can be deleted."
            )
        with self._read() as records:
            return records.flavors.get(f"{type_.value}/{name}")

    def deregister_flavor(self, type_: StackComponentType, name: str) -> FlavorRecord:
        """Forget a custom flavor. Raises InUseError, which names the components that are of it."""
        key = self.own_flavor(type_, name).key
        with self._write() as records:
            removed = records.flavors.remove(key)
            if users := [f"'{c.name}'" for c in records.components.within(type_.value) if c.flavor == name]:
                raise InUseError(
                    f"The {type_.display} flavor '{name}' is used by the {_plural('component', users)} {', '.join(users)}: "
                    "delete these first."
                )
            return removed

    # Schedules

    def schedules(self) -> list[ScheduleRecord]:
        """All schedules, sorted by name."""
        with self._read() as records:
            return list(records.schedules)

    def schedule(self, name: str) -> ScheduleRecord:
        """The schedule of that name."""
        with self._read() as records:
            return records.schedules.get(name)

    def register_schedule(
        self, schedule: ScheduleRecord, *, overwrite: bool = False, numbered: bool = False
    ) -> ScheduleRecord:
        """Keep a new schedule, and give it back as it is kept.

        With `overwrite` it takes the place of the one of its name, and goes on from the time that this one had last. With `numbered`, a
        number is put behind its name if a schedule of another pipeline has it.

        Raises:
            EntityExistsError: the name is taken.
            DoesNotExistException: its stack is not registered.
        """
        check_name(schedule.name, "schedule")
        with self._write() as records:
            records.stacks.get(schedule.stack)
            kept, number = schedule, 1
            while (existing := records.schedules.find(kept.name)) and numbered and not _alike(existing, kept):
                number += 1
                kept = replace(schedule, name=f"{schedule.name}-{number}")
            if existing is None:
                records.schedules.add(kept)
            elif overwrite:
                # Times that others would have been, by the new rule, are not those that were missed.
                created = existing.created if _same_times(existing, kept) else kept.created
                kept = replace(kept, created=created, last=existing.last, is_paused=existing.is_paused)
                records.schedules.replace(kept)
            else:
                raise EntityExistsError(
                    f"The schedule '{kept.name}' is registered already ({existing.when}, on the stack '{existing.stack}'): replace it with "
                    "Schedule(..., overwrite=True), give this one another name with Schedule(..., name=...), or delete that one with "
                    f"`zenml schedule delete {kept.name}`."
                )
            return kept

    def change_schedule(
        self, name: str, change: Callable[[ScheduleRecord], ScheduleRecord | None]
    ) -> ScheduleRecord | None:
        """Put what `change` makes of a schedule in its place, unless that is None or the schedule is gone; gives what was put.

        Nobody else changes the schedule between the two: of several that look whether they may, and then do, one is first.
        """
        with self._write() as records:
            present = records.schedules.find(name)
            changed = None if present is None else change(present)
            if changed is not None:
                records.schedules.replace(changed)
            return changed

    def deregister_schedule(self, name: str) -> ScheduleRecord:
        """Forget a schedule. A run that is under way goes on, and finished ones stay."""
        with self._write() as records:
            return records.schedules.remove(name)

    # Between profiles, and between a profile and a file

    def copy_stack(
        self, source_name: str, target_name: str, target: Registry, *, on_conflict: OnConflict = "error"
    ) -> StackRecord:
        """Copy a stack, its components and the custom flavors that they need into another profile, or within this one.

        A component that the target has in equal configuration is reused. For one that differs, `on_conflict` decides: "error";
        "rename" gives the copy a free name; "overwrite" changes the target's component, and a stack of the target's name too.

        Raises:
            StackComponentExistsError: components differ; the message names them.
            StackExistsError: the name is taken.
        """
        with self._read() as records:
            stack = records.stacks.get(source_name)
            spec = records.spec(stack)
        return target._merge_stack(
            replace(stack, name=target_name), spec.components, spec.flavors, on_conflict
        )

    def export_stack(self, name: str) -> dict[str, Any]:
        """A stack with its components as a document, without any secret."""
        from zenml.profiles import exchange

        with self._read() as records:
            stack = records.stacks.get(name)
            return exchange.to_document(stack, records.spec(stack))

    def import_stack(
        self, document: object, name: str | None = None, on_conflict: OnConflict = "error"
    ) -> exchange.ImportedStack:
        """Keep the stack of a document that `export_stack` gave, under another `name` if one is given; says what is missing to use it.

        Raises:
            ConfigurationError: the document is none of a stack; the message lists every mistake.
            SecretError: it holds a secret in clear.
            StackExistsError, StackComponentExistsError: as `copy_stack` does, by the same rules.
        """
        from zenml.profiles import exchange

        stack, components, flavors = exchange.from_document(document, name)
        merged = self._merge_stack(stack, components, flavors, on_conflict)
        return exchange.imported(merged, components.values(), self.flavors())

    # Inside

    def _merge_stack(
        self,
        stack: StackRecord,
        components: Mapping[StackComponentType, ComponentRecord],
        flavors: Iterable[FlavorRecord],
        on_conflict: OnConflict,
    ) -> StackRecord:
        with self._write() as records:
            check_name(stack.name, "stack")
            overwriting = on_conflict == "overwrite" and stack.name in records.stacks
            if stack.name in records.stacks and not overwriting:
                raise StackExistsError(
                    f"Stack '{stack.name}' already exists: choose another name, or replace it with `--overwrite`."
                )
            records.merge_flavors(flavors, on_conflict)
            names = records.merge_components(components, on_conflict)
            merged = replace(stack, components=names)
            records.check_stack(merged)
            if overwriting:
                records.stacks.replace(merged)
                records.say("Updated stack with name '%s'.", merged.name)
            else:
                records.stacks.add(merged)
                records.say("Registered stack with name '%s'.", merged.name)
            return merged

    @contextmanager
    def _read(self) -> Iterator[_Records]:
        with self.backend.transaction(write=False) as session:
            yield _Records(session)

    @contextmanager
    def _write(self) -> Iterator[_Records]:
        with self.backend.transaction(write=True) as session:
            records = _Records(session)
            yield records
        for message, arguments in records.messages:
            logger.info(message, *arguments)


class _Records:
    """The collections in one session, with the rules that need several of them."""

    def __init__(self, session: Session) -> None:
        self.stacks = Collection(session, StackRecord)
        self.components = Collection(session, ComponentRecord)
        self.flavors = Collection(session, FlavorRecord)
        self.schedules = Collection(session, ScheduleRecord)
        self.messages: list[tuple[str, tuple[object, ...]]] = []

    def say(self, message: str, *arguments: object) -> None:
        """Log, once the transaction has taken effect."""
        self.messages.append((message, arguments))

    def spec(self, stack: StackRecord) -> StackSpec:
        from zenml.model.deployment import StackSpec

        components = {
            type_: self.components.get(component_key(type_, n)) for type_, n in stack.components.items()
        }
        return StackSpec(stack.name, components, tuple(self.custom_flavors(components.values())))

    def using(self, type_: StackComponentType, name: str) -> list[StackRecord]:
        return [stack for stack in self.stacks if stack.components.get(type_) == name]

    def running_on(self, stack: str) -> list[ScheduleRecord]:
        return [schedule for schedule in self.schedules if schedule.stack == stack]

    def custom_flavors(self, components: Iterable[ComponentRecord]) -> list[FlavorRecord]:
        found = (self.flavors.find(f"{component.type.value}/{component.flavor}") for component in components)
        return [flavor for flavor in found if flavor is not None]

    def check_flavor(self, component: ComponentRecord) -> None:
        from zenml.stack.flavors import find_flavor  # loads pydantic, which lists must not

        find_flavor(component.type, component.flavor, self.flavors.within(component.type.value))

    def check_stack(self, stack: StackRecord) -> None:
        check_name(stack.name, "stack")
        for type_, name in stack.components.items():
            self.components.get(component_key(type_, name))
        if missing := [
            type_.display for type_ in StackComponentType if type_.required and type_ not in stack.components
        ]:
            raise StackValidationError(
                f"The stack '{stack.name}' has no {' and no '.join(missing)}: every stack needs one."
            )

    def add_stack(self, stack: StackRecord, components: list[ComponentRecord]) -> None:
        self.add_new(components)
        self.check_stack(stack)
        self.stacks.add(stack)
        self.say("Registered stack with name '%s'.", stack.name)

    def add_new(self, components: list[ComponentRecord]) -> None:
        """Add those that are not registered yet; equal ones are."""
        different = []
        for component in components:
            existing = self.components.find(component.key)
            if existing is None:
                self.add_component(component)
            elif not _same(existing, component):
                different.append(component)
        if different:
            raise StackComponentExistsError(
                f"Registered with another configuration: {_named(different)}. Give yours another name, or update the registered one."
            )

    def add_component(self, component: ComponentRecord) -> None:
        check_name(component.name, "stack component")
        self.components.add(component)
        self.say("Registered stack component with type '%s' and name '%s'.", component.type, component.name)

    def with_own_uuid(self, component: ComponentRecord) -> ComponentRecord:
        from uuid import uuid4

        taken = any(other.uuid == component.uuid and other.key != component.key for other in self.components)
        return replace(component, uuid=uuid4()) if taken else component

    def merge_flavors(self, flavors: Iterable[FlavorRecord], on_conflict: OnConflict) -> None:
        for flavor in flavors:
            existing = self.flavors.find(flavor.key)
            if existing is None:
                self.flavors.add(flavor)
            elif existing.source != flavor.source:
                if on_conflict != "overwrite":
                    raise EntityExistsError(
                        f"The {flavor.type.display} flavor '{flavor.name}' is registered with another class: {existing.source!r}, not "
                        f"{flavor.source!r}. Replace it with `--overwrite`, or delete it first."
                    )
                self.flavors.replace(flavor)

    def merge_components(
        self, components: Mapping[StackComponentType, ComponentRecord], on_conflict: OnConflict
    ) -> dict[StackComponentType, str]:
        """Keep those that are not there yet; the names under which all of them are found then."""
        names, different = {}, []
        for type_, component in components.items():
            existing = self.components.find(component.key)
            merged = component
            if existing is None:
                self.add_component(self.with_own_uuid(component))
            elif not _same(existing, component):
                if on_conflict == "rename":
                    merged = self._renamed(component)
                elif on_conflict == "overwrite":
                    self.components.replace(self.with_own_uuid(component))
                    self.say("Updated stack component with type '%s' and name '%s'.", type_, component.name)
                else:
                    different.append(component)
            names[type_] = merged.name
        if different:
            raise StackComponentExistsError(
                f"Different components of the same name exist: {_named(different)}. Nothing was changed. Use `--rename` to "
                "give the new ones other names, or `--overwrite` to change the existing ones."
            )
        return names

    def _renamed(self, component: ComponentRecord) -> ComponentRecord:
        """The component under the first free name, or under one that an equal one has already."""
        number = 2
        while True:
            renamed = replace(component, name=f"{component.name}_{number}")
            existing = self.components.find(renamed.key)
            if existing is None:
                self.add_component(self.with_own_uuid(renamed))
                return renamed
            if _same(existing, renamed):
                return renamed
            number += 1


def _owner(type_: StackComponentType, flavor: str) -> str | None:
    """Whose flavor it is, for a sentence; None unless it comes with the framework or an integration."""
    from zenml.stack.flavors import all_flavors  # loads the integrations' manifests

    for known in all_flavors(type_):
        if known.name == flavor:
            return f"of the integration '{known.integration}'" if known.integration else "built in"
    return None


def _same(one: ComponentRecord, other: ComponentRecord) -> bool:
    if (one.flavor, dict(one.configuration)) == (other.flavor, dict(other.configuration)):
        return True
    return one.flavor == other.flavor and _complete(one) == _complete(other)


def _complete(component: ComponentRecord) -> dict[str, Any]:
    """The configuration with the defaults of fields that the flavor has come to have since; of a built-in flavor only."""
    from zenml.stack.flavors import find_flavor, load_flavor  # imports the flavor: only where records differ

    try:
        class_ = load_flavor(find_flavor(component.type, component.flavor))
        return class_.from_record(component).configuration()
    except ZenMLBaseException:
        return dict(component.configuration)


def _alike(one: ScheduleRecord, other: ScheduleRecord) -> bool:
    return (one.source, one.source_root) == (other.source, other.source_root)


def _same_times(one: ScheduleRecord, other: ScheduleRecord) -> bool:
    return (one.when, one.start, one.end) == (other.when, other.start, other.end)


def _named(components: Iterable[ComponentRecord]) -> str:
    return ", ".join(f"{component.type.display} '{component.name}'" for component in components)


def _plural(word: str, items: list[str]) -> str:
    return word if len(items) == 1 else f"{word}s"
