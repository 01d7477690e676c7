"""What reaches the disk before a step is recorded as complete."""

import os
from pathlib import Path

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.exceptions import ConfigurationError
from zenml.materializers.values import write_value


@pytest.fixture
def synced(monkeypatch) -> list[str]:
    """The files and folders that were forced to the disk, in order."""
    paths: list[str] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        paths.append(str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", record)
    return paths


def test_with_full_durability_the_files_and_every_folder_above_them(tmp_path, synced):
    root = tmp_path / "store"
    store = LocalArtifactStore(name="local", path=str(root), durability="full")
    uri = root / "runs" / "1" / "step.1" / "output"
    record = write_value("output", {"a": [1, 2]}, str(uri), store)
    files = [str(uri / entry.path) for entry in record.manifest]
    assert files
    assert set(synced) == {*files, *map(str, [uri, *list(uri.parents)[:4]])}
    assert all(synced.index(file) < synced.index(str(uri)) for file in files)
    assert synced[-1] == str(root)


def test_files_that_a_library_wrote_by_itself(tmp_path, synced):
    store = LocalArtifactStore(name="local", path=str(tmp_path), durability="full")
    folder = tmp_path / "model" / "variables"
    folder.mkdir(parents=True)
    (folder / "data.bin").write_bytes(b"x")
    store.persist(str(tmp_path / "model"))
    assert set(synced) == {str(p) for p in (folder / "data.bin", folder, folder.parent, tmp_path)}


def test_normally_the_system_writes_when_it_likes(tmp_path, synced):
    store = LocalArtifactStore(name="local", path=str(tmp_path))
    write_value("output", 1, str(tmp_path / "output"), store)
    assert synced == []


def test_another_durability_is_refused():
    with pytest.raises(ConfigurationError, match="durability: Input should be 'normal' or 'full'"):
        LocalArtifactStore(name="local", path=str(Path("/x")), durability="high")
