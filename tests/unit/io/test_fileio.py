"""`zenml.io.fileio`: the same functions wherever the path lies."""

from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest

from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.exceptions import ArtifactStoreInterfaceError
from zenml.io import fileio
from zenml.io.filesystem import mounted


class MemoryArtifactStore(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "memory"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"memory://"}


@pytest.fixture(params=["text", "path", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> "str | Path":
    match request.param:
        case "text":
            return str(tmp_path)
        case "path":
            return tmp_path
    fileio.makedirs(url := f"memory://{uuid4()}/x")
    return url


def at(root, name):
    return root / name if isinstance(root, Path) else f"{root}/{name}"


def write(path, text="content"):
    with fileio.open(path, "w") as file:
        file.write(text)


def read(path):
    with fileio.open(path) as file:
        return file.read()


def test_the_functions_work_for_any_path(root):
    fileio.makedirs(at(root, "a/b"))
    fileio.mkdir(at(root, "a/c"))
    write(at(root, "a/b/file"), "grüße")

    assert fileio.exists(at(root, "a/b/file"))
    assert fileio.isdir(at(root, "a/b"))
    assert fileio.listdir(at(root, "a/b")) == ["file"]
    assert fileio.glob(at(root, "a/*/file")) == [str(at(root, "a/b/file"))]
    assert [files for _, _, files in fileio.walk(at(root, "a/b"))] == [["file"]]
    stat = fileio.stat(at(root, "a/b/file"))
    assert (stat["size"] if isinstance(stat, dict) else stat.st_size) == 7

    fileio.copy(at(root, "a/b/file"), at(root, "copy"))
    with pytest.raises(FileExistsError, match="copy"):
        fileio.copy(at(root, "a/b/file"), at(root, "copy"))
    fileio.copy(at(root, "a/b/file"), at(root, "copy"), overwrite=True)
    fileio.rename(at(root, "copy"), at(root, "renamed"))
    assert read(at(root, "renamed")) == "grüße"
    fileio.remove(at(root, "renamed"))
    fileio.rmtree(at(root, "a"))
    assert not fileio.exists(at(root, "a/b/file"))


def test_a_missing_file_is_a_file_not_found_error_that_names_it(root):
    for operation in (fileio.open, fileio.remove, fileio.stat, fileio.listdir, fileio.rmtree):
        with pytest.raises(FileNotFoundError, match="missing"):
            operation(at(root, "missing"))
    with pytest.raises(FileNotFoundError, match="missing"):
        fileio.copy(at(root, "missing"), at(root, "x"))


def test_files_go_from_one_file_system_to_another(tmp_path):
    url = f"memory://{uuid4()}"
    write(tmp_path / "file", "here")

    fileio.copy(tmp_path / "file", f"{url}/file")
    assert read(f"{url}/file") == "here"
    with pytest.raises(FileExistsError, match=r"file.*overwrite"):
        fileio.copy(tmp_path / "file", f"{url}/file")
    with pytest.raises(FileExistsError):
        fileio.rename(tmp_path / "file", f"{url}/file")
    fileio.rename(f"{url}/file", tmp_path / "back")

    assert read(tmp_path / "back") == "here"
    assert not fileio.exists(f"{url}/file")


def test_a_mounted_store_serves_its_paths_alone(tmp_path):
    store = MemoryArtifactStore(name="store", path=f"memory://{uuid4()}/root")
    store.makedirs(store.path)
    write(tmp_path / "file")

    with mounted(store.path, store):
        write(f"{store.path}/file", "in the store")
        with pytest.raises(ArtifactStoreInterfaceError, match="outside of the artifact store 'store'"):
            fileio.open(f"{store.path}/../x", "w")
        assert read(tmp_path / "file") == "content"

    assert read(f"{store.path}/file") == "in the store"


def test_a_store_that_overrides_the_operations_is_used_while_it_is_mounted(tmp_path):
    class Custom(BaseArtifactStore):
        FLAVOR: ClassVar[str] = "custom"
        SUPPORTED_SCHEMES: ClassVar[set[str]] = {"custom://"}

        def exists(self, path):
            return path == "custom://x/there"

    store = Custom(name="store", path="custom://x")

    with mounted(store.path, store):
        assert fileio.exists("custom://x/there")
        assert not fileio.exists("custom://x/elsewhere")
    with pytest.raises(ArtifactStoreInterfaceError, match="fsspec knows no scheme 'custom://'"):
        fileio.exists("custom://x/there")


def test_two_local_stores_do_not_serve_each_other(tmp_path):
    inner = LocalArtifactStore(name="inner", path=tmp_path / "outer" / "inner")
    outer = LocalArtifactStore(name="outer", path=tmp_path / "outer")
    outer.makedirs(inner.path)

    with mounted(outer.path, outer), mounted(inner.path, inner):
        write(f"{inner.path}/file")
        write(f"{outer.path}/file", "outer")

    assert read(f"{outer.path}/file") == "outer"
