"""What a profile keeps: components, stacks, flavors.

A record knows its `KIND` (the name of its collection), its `key` in there, and how to become a document (JSON
data) and be made from one again. `from_document(key, document)` keeps fields that it does not know in `unknown`, so
that a record written by a newer version loses nothing when this one rewrites it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar
from uuid import UUID

from zenml.enums import StackComponentType

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.model.json import Document


class Record(Protocol):
    """What can be kept in a collection."""

    KIND: ClassVar[str]
    DISPLAY: ClassVar[str]

    @property
    def key(self) -> str:
        """The record's name in its collection."""
        ...

    def to_document(self) -> dict[str, Any]:
        """The record as JSON data, without what the key says."""
        ...

    @classmethod
    def from_document(cls, key: str, document: Document) -> Self:
        """The record of that key and content."""
        ...


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class ComponentRecord:
    """A registered stack component, as its flavor's class serialized it.

    `configuration` holds the fields other than name and uuid; values of secret fields are references
    (`{{name.key}}`), never the secrets. `secret_fields` names these fields, so that they can be masked without importing the flavor.
    """

    KIND: ClassVar[str] = "stack_components"
    DISPLAY: ClassVar[str] = "stack component"

    type: StackComponentType
    name: str
    flavor: str
    uuid: UUID
    configuration: Mapping[str, Any] = field(default_factory=dict)
    secret_fields: tuple[str, ...] = ()
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names are unique within a type: "artifact_store/default"."""
        return component_key(self.type, self.name)

    def to_document(self) -> dict[str, Any]:
        """The record as JSON data, without what the key says."""
        document: dict[str, Any] = {
            **self.unknown,
            "flavor": self.flavor,
            "uuid": str(self.uuid),
            "configuration": dict(self.configuration),
        }
        if self.secret_fields:
            document["secret_fields"] = list(self.secret_fields)
        return document

    @classmethod
    def from_document(cls, key: str, document: Document) -> ComponentRecord:
        """The record of that key and content. Raises KeyError, ValueError or TypeError for a document that is none."""
        type_, _, name = key.partition("/")
        rest = dict(document)
        return cls(
            type=StackComponentType(type_),
            name=name,
            flavor=rest.pop("flavor"),
            uuid=UUID(rest.pop("uuid")),
            configuration=dict(rest.pop("configuration", {})),
            secret_fields=tuple(rest.pop("secret_fields", ())),
            unknown=rest,
        )


def component_key(type_: StackComponentType, name: str) -> str:
    """The key of a component in its collection."""
    return f"{type_.value}/{name}"


@dataclass(frozen=True)
class StackRecord:
    """A registered stack: the name of one component for each of its types."""

    KIND: ClassVar[str] = "stacks"
    DISPLAY: ClassVar[str] = "stack"

    name: str
    components: Mapping[StackComponentType, str]
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The stack's name."""
        return self.name

    def to_document(self) -> dict[str, Any]:
        """The record as JSON data, without what the key says."""
        return {**self.unknown, **{type_.value: name for type_, name in sorted(self.components.items())}}

    @classmethod
    def from_document(cls, key: str, document: Document) -> StackRecord:
        """The record of that key and content."""
        known = set(StackComponentType.values())
        return cls(
            name=key,
            components={StackComponentType(k): str(v) for k, v in document.items() if k in known},
            unknown={k: v for k, v in document.items() if k not in known},
        )


@dataclass(frozen=True)
class FlavorRecord:
    """A flavor: the import path of a component class, "package.module.Class".

    `integration` names the integration that brings it; it is empty for built-in and custom flavors. Only custom
    flavors are kept in a profile.
    """

    KIND: ClassVar[str] = "flavors"
    DISPLAY: ClassVar[str] = "flavor"

    type: StackComponentType
    name: str
    source: str
    integration: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Names are unique within a type."""
        return f"{self.type.value}/{self.name}"

    def to_document(self) -> dict[str, Any]:
        """The record as JSON data, without what the key says."""
        return {**self.unknown, "source": self.source}

    @classmethod
    def from_document(cls, key: str, document: Document) -> FlavorRecord:
        """The record of that key and content."""
        type_, _, name = key.partition("/")
        rest = dict(document)
        return cls(type=StackComponentType(type_), name=name, source=rest.pop("source"), unknown=rest)
