"""Which files of recorded artifacts there are, asked in few requests."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.model.runs import ArtifactRecord

_FEW = 3
_PAGE = 1000
_FRESH = 60.0


class Presence:
    """Gives the sizes of an artifact's files.

    Where each question is a request, all files of a run are listed at once as soon as that pays, and remembered for a minute.
    """

    def __init__(self, store: BaseArtifactStore) -> None:
        self._store = store
        self._artifacts: Counter[str] = Counter()
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, tuple[float, Mapping[str, int]]] = {}

    def expect(self, records: Iterable[ArtifactRecord]) -> None:
        """Learn which artifacts may be asked for."""
        if self._store.local_path is None:
            self._artifacts.update(self._run_folder(record) for record in records)

    def sizes(self, record: ArtifactRecord) -> Mapping[str, int]:
        """The files below the artifact's folder, with their sizes; empty if there are none."""
        if self._store.local_path is not None and len(record.manifest) <= _FEW:
            return self._one_by_one(record)  # of half the cost of listing the folder
        folder = self._run_folder(record)
        self._asked[folder] += 1
        if self._asked[folder] <= 1 + self._artifacts[folder] / _PAGE:
            return self._store.sizes(record.uri)
        listed, names = self._listed.get(folder, (0.0, {}))
        if time.monotonic() - listed > _FRESH:
            listed, names = self._listed[folder] = time.monotonic(), self._store.sizes(folder)
        prefix = f"{record.uri[len(folder) + 1 :]}/"
        return {
            entry.path: names[prefix + entry.path]
            for entry in record.manifest
            if prefix + entry.path in names
        }

    def _one_by_one(self, record: ArtifactRecord) -> dict[str, int]:
        sizes = {}
        for entry in record.manifest:
            with suppress(FileNotFoundError, NotADirectoryError):
                sizes[entry.path] = self._store.size(f"{record.uri}/{entry.path}")
        return sizes

    def _run_folder(self, record: ArtifactRecord) -> str:
        """The folder of the run that the artifact is of: <store>/runs/<uuid>."""
        root = len(self._store.path.rstrip("/")) + 1
        return record.uri[:root] + "/".join(record.uri[root:].split("/")[:2])
