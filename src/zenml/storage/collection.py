"""Create, read, update, delete: the rules and the wording, once for every kind of record and every backend.

A backend gives transactions; a transaction gives sessions; a session reads and writes documents by kind and key. The smallest one:

    class Dictionary(Backend):
        def __init__(self): self.kinds = {}
        @contextmanager
        def transaction(self, *, write):
            kinds = copy.deepcopy(self.kinds)
            yield DocumentSession(kinds)    # a Session over nested dictionaries
            if write: self.kinds = kinds    # all or nothing
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from zenml.exceptions import (
    DoesNotExistException,
    EntityExistsError,
    StackComponentExistsError,
    StackExistsError,
    UnreadableFileError,
    nearest,
)
from zenml.model.records import Record

if TYPE_CHECKING:
    from zenml.model.json import Document

R = TypeVar("R", bound=Record)

_EXISTS = {"stacks": StackExistsError, "stack_components": StackComponentExistsError}


class Session(Protocol):
    """A transaction's view of the documents: it sees its own writes and nobody else's unfinished ones."""

    def get(self, kind: str, key: str) -> Document | None:
        """The document, or None."""
        ...

    def list(self, kind: str) -> dict[str, Document]:
        """All documents of a kind by key, sorted by key."""
        ...

    def put(self, kind: str, key: str, document: dict[str, Any]) -> None:
        """Write or replace a document."""
        ...

    def delete(self, kind: str, key: str) -> None:
        """Remove a document; it is there."""
        ...

    def where(self, kind: str, key: str) -> str:
        """Where a document lies, for messages: path and line, or database and table. Never with a password."""
        ...


class Backend(ABC):
    """Where documents are kept.

    Transactions of all processes that write are serialized; each is all or nothing: it takes effect when its block ends without an
    exception, and a kill at any moment leaves the documents as they were before it or as they are after it. A reading transaction sees one
    consistent state and never waits for a writer. A backend that cannot be reached or read raises `StoreError` or `UnreadableFileError`.
    """

    @abstractmethod
    def transaction(self, *, write: bool) -> AbstractContextManager[Session]:
        """Begin a transaction; it ends with the block."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether anything was ever written here."""


class Collection(Generic[R]):
    """The records of one class, in one session."""

    def __init__(self, session: Session, record: type[R]) -> None:
        self._session = session
        self._record = record

    def __iter__(self) -> Iterator[R]:
        for key, document in self._session.list(self._record.KIND).items():
            yield self._decode(key, document)

    def __contains__(self, key: str) -> bool:
        return self._session.get(self._record.KIND, key) is not None

    def within(self, group: str) -> Iterator[R]:
        """The records whose keys are "group/name"; others are not looked at."""
        for key, document in self._session.list(self._record.KIND).items():
            if key.startswith(f"{group}/"):
                yield self._decode(key, document)

    def keys(self) -> list[str]:
        """All keys, sorted."""
        return list(self._session.list(self._record.KIND))

    def find(self, key: str) -> R | None:
        """The record of that key, or None."""
        document = self._session.get(self._record.KIND, key)
        return None if document is None else self._decode(key, document)

    def get(self, key: str) -> R:
        """The record of that key. Raises DoesNotExistException, which names the nearest known one."""
        found = self.find(key)
        if found is None:
            raise self._missing(key)
        return found

    def add(self, record: R) -> None:
        """Keep a new record. Raises AlreadyExistsException if its key is taken."""
        if record.key in self:
            raise self._taken(record.key)
        self._session.put(self._record.KIND, record.key, record.to_document())

    def replace(self, record: R, *, key: str | None = None) -> None:
        """Put `record` in the place of the one with the same key, or with `key`, which may differ (a rename).

        Raises:
            DoesNotExistException: there is none to replace.
            AlreadyExistsException: the new key is taken by another.
        """
        old = record.key if key is None else key
        if old not in self:
            raise self._missing(old)
        if old != record.key:
            if record.key in self:
                raise self._taken(record.key)
            self._session.delete(self._record.KIND, old)
        self._session.put(self._record.KIND, record.key, record.to_document())

    def remove(self, key: str) -> R:
        """Remove a record and give it back. Raises DoesNotExistException."""
        record = self.get(key)
        self._session.delete(self._record.KIND, key)
        return record

    def _decode(self, key: str, document: Document) -> R:
        try:
            return self._record.from_document(key, document)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            where = self._session.where(self._record.KIND, key)
            raise UnreadableFileError(
                f"{where}: this is no {self._record.DISPLAY}: {reason}. Mend it by hand: it is left as it is."
            ) from None

    def _missing(self, key: str) -> DoesNotExistException:
        within, _, name = key.rpartition("/")
        names = [k.rpartition("/")[2] for k in self.keys() if k.rpartition("/")[0] == within]
        return DoesNotExistException(f"{self._what(within)} '{name}' does not exist.{nearest(name, names)}")

    def _taken(self, key: str) -> Exception:
        within, _, name = key.rpartition("/")
        error = _EXISTS.get(self._record.KIND, EntityExistsError)
        return error(f"{self._what(within)} '{name}' already exists: choose another name, or update it.")

    def _what(self, within: str) -> str:
        display = self._record.DISPLAY
        if within:
            display = within.replace("_", " ") + (
                "" if self._record.KIND == "stack_components" else f" {display}"
            )
        return display[0].upper() + display[1:]
