"""Stacks as documents: what `zenml stack export` writes and `zenml stack import` reads.

    zenml_version: 0.1.0
    stack_name: local
    components:
      artifact_store: {name: default, flavor: local, path: /data}
    flavors:                       # the custom ones, if the components are of any
      artifact_store: {custom: path.to.MyArtifactStore}

Secret fields hold references, never secrets. Keys and types of component that this version does not know are kept in the
stack's record and written again by the next export.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from zenml._version import __version__
from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, DoesNotExistException, SecretError, ZenMLBaseException
from zenml.model.names import check_name
from zenml.model.records import ComponentRecord, FlavorRecord, StackRecord
from zenml.secret.references import has_reference

if TYPE_CHECKING:
    from zenml.model.deployment import StackSpec
    from zenml.model.json import Document

_KEPT = "imported"
_KNOWN = ("zenml_version", "stack_name", "components", "flavors")
_TYPES = frozenset(StackComponentType.values())


@dataclass(frozen=True)
class ImportedStack:
    """A stack that was imported, and what is missing on this machine to use it.

    `requirements` are pip requirements of integrations that are not installed; `unknown_flavors` are "type/name" of
    flavors that nothing here knows; `unknown_types` are types of component that this version does not have.
    """

    stack: StackRecord
    requirements: tuple[str, ...] = ()
    unknown_flavors: tuple[str, ...] = ()
    unknown_types: tuple[str, ...] = ()


def to_document(stack: StackRecord, spec: StackSpec) -> dict[str, Any]:
    """A stack with its components as a document."""
    kept = dict(stack.unknown.get(_KEPT, {}))
    flavors: dict[str, dict[str, str]] = {}
    for flavor in spec.flavors:
        flavors.setdefault(flavor.type.value, {})[flavor.name] = flavor.source
    return {
        "zenml_version": __version__,
        "stack_name": stack.name,
        "components": {
            **{
                type_.value: {"name": record.name, "flavor": record.flavor, **record.configuration}
                for type_, record in spec.components.items()
            },
            **kept.pop("components", {}),
        },
        **({"flavors": flavors} if flavors else {}),
        **kept,
    }


def from_document(
    document: object, name: str | None = None
) -> tuple[StackRecord, dict[StackComponentType, ComponentRecord], list[FlavorRecord]]:
    """The stack of a document, under another `name` if one is given, its components and custom flavors.

    Raises:
        ConfigurationError: the document is none of a stack; the message lists every mistake.
        SecretError: a secret field holds a literal.
    """
    data = _checked(document)
    components = {
        StackComponentType(type_): _component(StackComponentType(type_), fields)
        for type_, fields in data["components"].items()
        if type_ in _TYPES
    }
    unknown = {type_: fields for type_, fields in data["components"].items() if type_ not in _TYPES}
    kept = {key: value for key, value in data.items() if key not in _KNOWN}
    if unknown:
        kept["components"] = unknown
    flavors = [
        FlavorRecord(StackComponentType(type_), flavor, source)
        for type_, sources in data.get("flavors", {}).items()
        for flavor, source in sources.items()
        if type_ in _TYPES
    ]
    stack = StackRecord(
        check_name(name or data["stack_name"], "stack"),
        {type_: component.name for type_, component in components.items()},
        {_KEPT: kept} if kept else {},
    )
    return stack, components, flavors


def imported(
    stack: StackRecord, components: Iterable[ComponentRecord], custom: Iterable[FlavorRecord]
) -> ImportedStack:
    """What is missing here to use a stack of these components."""
    from zenml.stack.flavors import find_flavor  # loads pydantic, which lists must not
    from zenml.stack.integrations import integrations

    custom = list(custom)
    requirements: list[str] = []
    unknown = []
    for component in components:
        try:
            flavor = find_flavor(component.type, component.flavor, custom)
        except DoesNotExistException:
            unknown.append(f"{component.type.value}/{component.flavor}")
            continue
        for integration in integrations():
            if integration.name == flavor.integration and not integration.is_installed:
                requirements += [r for r in integration.requirements if r not in requirements]
    types = tuple(stack.unknown.get(_KEPT, {}).get("components", {}))
    return ImportedStack(stack, tuple(requirements), tuple(unknown), types)


def _checked(document: object) -> Mapping[str, Any]:
    mistakes = []
    if not isinstance(document, dict):
        raise ConfigurationError(
            f"This is no exported stack: expected a mapping with 'components', not {type(document).__name__}."
        )
    if not isinstance(document.get("stack_name", ""), str):
        mistakes.append("stack_name: must be a text.")
    components = document.get("components")
    if not isinstance(components, dict) or not components:
        mistakes.append("components: must map types of component to their fields.")
        components = {}
    for type_, fields in components.items():
        if not isinstance(fields, dict):
            mistakes.append(f"components.{type_}: must map fields to values.")
            continue
        mistakes += [
            f"components.{type_}.{key}: is required, and must be a text."
            for key in ("name", "flavor")
            if not isinstance(fields.get(key), str) or not fields[key]
        ]
    flavors = document.get("flavors", {})
    if not isinstance(flavors, dict) or not all(
        isinstance(sources, dict) and all(isinstance(x, str) for pair in sources.items() for x in pair)
        for sources in flavors.values()
    ):
        mistakes.append("flavors: must map types of component to mappings of flavors to import paths.")
    if mistakes:
        raise ConfigurationError(
            "This is no exported stack:\n" + "\n".join(f"  {mistake}" for mistake in mistakes)
        )
    return {"stack_name": "", **document}


def _component(type_: StackComponentType, fields: Document) -> ComponentRecord:
    configuration = {key: value for key, value in fields.items() if key not in ("name", "flavor", "uuid")}
    name = check_name(fields["name"], "stack component")
    secret = tuple(sorted(key for key in _secret_fields(type_, fields) if configuration.get(key)))
    if literals := [key for key in secret if not has_reference(configuration[key])]:
        raise SecretError(
            f"The {type_.display} '{name}' holds a secret in clear in: {', '.join(literals)}. Register the value with "
            f"`zenml secret register {name} --{literals[0]}=...` and write '{{{{{name}.{literals[0]}}}}}' into the file."
        )
    return ComponentRecord(type_, name, fields["flavor"], uuid4(), configuration, secret)


def _secret_fields(type_: StackComponentType, fields: Document) -> Iterable[str]:
    """The secret fields as the flavor's class declares them; where it cannot be imported, those that are named like one."""
    from zenml.stack.component import is_secret_name  # loads pydantic, which lists must not
    from zenml.stack.flavors import find_flavor, load_flavor

    try:
        return load_flavor(find_flavor(type_, fields["flavor"])).secret_fields()
    except ZenMLBaseException:
        return [key for key, value in fields.items() if isinstance(value, str) and is_secret_name(key)]
