"""Our artifact stores, and small ones of each kind that an author may write, pass the suite."""

from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import fsspec
import pytest

from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.testing.conformance import ArtifactStoreConformance
from zenml.testing.conformance.artifact_stores import write


class MemoryArtifactStore(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "memory"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"memory://"}


class FileArtifactStore(BaseArtifactStore):
    """A scheme of fsspec's that has real folders."""

    FLAVOR: ClassVar[str] = "file"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"file://"}


class DictionaryArtifactStore(BaseArtifactStore):
    """A store for something that fsspec does not know: it overrides every operation."""

    FLAVOR: ClassVar[str] = "dictionary"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"dictionary://"}

    _other: LocalArtifactStore | None = None

    def behind(self, folder: Path) -> "DictionaryArtifactStore":
        self._other = LocalArtifactStore(name="behind", path=str(folder))
        return self

    def _there(self, path: str) -> str:
        self._inside(path)
        assert self._other is not None
        return self._other.path + path.removeprefix(self.path)

    def _here(self, path: str) -> str:
        assert self._other is not None
        return self.path + path.removeprefix(self._other.path)

    def open(self, name, mode="r"):
        return self._other.open(self._there(name), mode)

    def copyfile(self, src, dst, overwrite=False):
        self._other.copyfile(self._there(src), self._there(dst), overwrite)

    def exists(self, path):
        return self._other.exists(self._there(path))

    def glob(self, pattern):
        return [self._here(path) for path in self._other.glob(self._there(pattern))]

    def isdir(self, path):
        return self._other.isdir(self._there(path))

    def listdir(self, path):
        return self._other.listdir(self._there(path))

    def makedirs(self, path):
        self._other.makedirs(self._there(path))

    def mkdir(self, path):
        self._other.mkdir(self._there(path))

    def remove(self, path):
        self._other.remove(self._there(path))

    def rename(self, src, dst, overwrite=False):
        self._other.rename(self._there(src), self._there(dst), overwrite)

    def rmtree(self, path):
        self._other.rmtree(self._there(path))

    def stat(self, path):
        return {"size": self._other.stat(self._there(path)).st_size}

    def walk(self, top, topdown=True, onerror=None):
        for folder, folders, files in self._other.walk(self._there(top), topdown, onerror):
            yield self._here(folder), folders, files


class TestLocal(ArtifactStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BaseArtifactStore:
        return LocalArtifactStore(name="store", path=str(tmp_path / "store"))


class TestMemory(ArtifactStoreConformance):
    @pytest.fixture
    def store(self) -> BaseArtifactStore:
        return MemoryArtifactStore(name="store", path=f"memory://{uuid4()}/some/prefix")


class TestFile(ArtifactStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BaseArtifactStore:
        return FileArtifactStore(name="store", path=f"file://{tmp_path / 'store'}")


class TestDictionary(ArtifactStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BaseArtifactStore:
        return DictionaryArtifactStore(name="store", path="dictionary://root").behind(tmp_path / "store")


def test_the_memory_of_fsspec_is_what_it_writes_to() -> None:
    store = MemoryArtifactStore(name="store", path=f"memory://{uuid4()}")
    write(store, "file", b"x")

    assert fsspec.filesystem("memory").cat(f"{store.path}/file") == b"x"
