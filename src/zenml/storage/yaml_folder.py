"""Documents in a folder, as one YAML file that people can read: see docs/adr/0010-one-yaml-file-per-profile.md."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zenml.exceptions import StoreError
from zenml.storage.collection import Backend, Session
from zenml.storage.files import YamlFile
from zenml.storage.memory import DocumentSession

FILE = "store.yaml"
_VERSION = 1


class YamlFolder(Backend):
    """Documents in `store.yaml` of a folder, by kind and key; a transaction is one rename, however many documents it writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = YamlFile(folder / FILE, folder / "store.lock")

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Session]:
        if not write:
            yield _YamlSession(self._checked(self._file.read() or {}), self._file)
            return
        with self._file.change() as data:
            session = _YamlSession(self._checked(data), self._file)
            data.setdefault("version", _VERSION)
            yield session

    def exists(self) -> bool:
        return self._file.path.exists()

    def __repr__(self) -> str:
        return f"YamlFolder({str(self.folder)!r})"

    def _checked(self, data: dict[str, Any]) -> dict[str, Any]:
        version = data.get("version", _VERSION)
        if not isinstance(version, int):
            raise self._file.refuse(f"the version is {version!r}, not a number.", "version")
        if version > _VERSION:
            raise StoreError(
                f"{self._file.path} was written by a newer version (format {version}; this one reads up to {_VERSION}): "
                "update to that version, or use another profile."
            )
        for kind, documents in data.items():
            if kind == "version":
                continue
            if not isinstance(documents, dict):
                raise self._file.refuse(f"{kind!r} must map names to records.", kind)
            for key, document in documents.items():
                if not isinstance(key, str) or not isinstance(document, dict):
                    raise self._file.refuse(
                        f"the record {key!r} of {kind!r} must be a mapping.", kind, str(key)
                    )
        return data


class _YamlSession(DocumentSession):
    def __init__(self, data: dict[str, Any], file: YamlFile) -> None:
        super().__init__(data)
        self._file = file

    def where(self, kind: str, key: str) -> str:
        return self._file.where(kind, key)
