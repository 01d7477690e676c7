"""Documents in this process's memory, for tests; and the session over nested dictionaries that files use too."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zenml.storage.collection import Backend, Session

if TYPE_CHECKING:
    from zenml.model.json import Document


class DocumentSession:
    """A session over documents by kind and key; it writes to `kinds`."""

    def __init__(self, kinds: dict[str, dict[str, dict[str, Any]]], where: str = "memory") -> None:
        self._kinds = kinds
        self._where = where

    def get(self, kind: str, key: str) -> Document | None:
        return copy.deepcopy(self._kinds.get(kind, {}).get(key))

    def list(self, kind: str) -> dict[str, Document]:
        return {key: copy.deepcopy(document) for key, document in sorted(self._kinds.get(kind, {}).items())}

    def put(self, kind: str, key: str, document: dict[str, Any]) -> None:
        self._kinds.setdefault(kind, {})[key] = copy.deepcopy(document)

    def delete(self, kind: str, key: str) -> None:
        del self._kinds[kind][key]

    def where(self, kind: str, key: str) -> str:
        return self._where


class Memory(Backend):
    """Documents that end with the process."""

    def __init__(self) -> None:
        self._kinds: dict[str, dict[str, dict[str, Any]]] = {}
        self._writing = threading.Lock()

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Session]:
        if not write:
            # A writer replaces the whole, so what a reader has stays as it is.
            yield DocumentSession(self._kinds)
            return
        with self._writing:
            kinds = {kind: dict(documents) for kind, documents in self._kinds.items()}
            yield DocumentSession(kinds)
            self._kinds = kinds

    def exists(self) -> bool:
        return bool(self._kinds)
