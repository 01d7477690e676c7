"""What all views have in common."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore


@dataclass(frozen=True)
class Stores:
    """Where views read: what happened, and the values."""

    metadata: BaseMetadataStore
    artifacts: BaseArtifactStore


class View:
    """A look at something recorded. Two views are equal if they show the same thing of the same metadata store."""

    def __init__(self, stores: Stores, id: int) -> None:
        self._stores = stores
        self._id = id

    @property
    def id(self) -> int:
        """The metadata store's identifier."""
        return self._id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, View):
            return NotImplemented
        return type(self) is type(other) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((type(self), self._identity()))

    def _identity(self) -> tuple[object, ...]:
        return self._id, self._stores.metadata.uuid


@overload
def moment(seconds: float) -> datetime: ...
@overload
def moment(seconds: float | None) -> datetime | None: ...
def moment(seconds: float | None) -> datetime | None:
    """Seconds since the epoch as a time in UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc)


def elapsed(start: datetime, end: datetime | None) -> timedelta:
    """From `start` to `end`, or until now."""
    return (end or datetime.now(timezone.utc)) - start
