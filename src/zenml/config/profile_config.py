"""What the global configuration knows of a profile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from zenml.enums import StoreType

if TYPE_CHECKING:
    from zenml.model.json import Document

DEFAULT_PROFILE_NAME = "default"


@dataclass(frozen=True)
class ProfileConfiguration:
    """A profile: where its records are kept, and which of its stacks is active where nothing else says so.

    `store_url` is a `file://` URL for a local store, an SQLAlchemy URL for an SQL one; it may hold a password and is
    shown through `zenml.profiles.profiles.shown_url` only.
    """

    KIND: ClassVar[str] = "profiles"
    DISPLAY: ClassVar[str] = "profile"

    name: str
    store_type: StoreType
    store_url: str = field(repr=False)
    active_stack: str | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def key(self) -> str:
        """The profile's name."""
        return self.name

    def to_document(self) -> dict[str, Any]:
        """The profile as it is written."""
        return {
            **self.unknown,
            "name": self.name,
            "store_type": self.store_type.value,
            "store_url": self.store_url,
            "active_stack": self.active_stack,
        }

    @classmethod
    def from_document(cls, key: str, document: Document) -> ProfileConfiguration:
        """The profile of that name and content. Raises KeyError, ValueError or TypeError for a document that is none."""
        rest = dict(document)
        rest.pop("name", None)
        store_type, store_url, active_stack = (
            rest.pop("store_type"),
            rest.pop("store_url"),
            rest.pop("active_stack", None),
        )
        if not isinstance(store_url, str) or not isinstance(active_stack, str | None):
            raise TypeError("store_url and active_stack must be texts")
        if store_type not in StoreType.values():
            raise ValueError(f"store_type is {store_type!r}; expected one of {', '.join(StoreType.values())}")
        return cls(key, StoreType(store_type), store_url, active_stack or None, rest)
