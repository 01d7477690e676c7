"""What is special to one artifact store, and how stores are defined."""

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar
from uuid import uuid4

import pytest

from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.enums import Reach, StackComponentType
from zenml.exceptions import ArtifactStoreInterfaceError, MissingPackageError, StackComponentInterfaceError


class MyCustomArtifactStore(BaseArtifactStore):
    """As the documentation shows it."""

    FLAVOR: ClassVar[str] = "custom"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"custom://"}


class MemoryArtifactStore(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "memory"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"memory://", "dbfs://", "s3://"}


def test_a_custom_store_is_a_flavor_and_a_scheme():
    store = MyCustomArtifactStore(name="mine", path="custom://place/")

    assert store.TYPE is StackComponentType.ARTIFACT_STORE
    assert store.path == "custom://place"
    assert MyCustomArtifactStore.from_record(store.to_record()) == store


def test_a_scheme_that_fsspec_does_not_know_is_named_when_it_is_used():
    store = MyCustomArtifactStore(name="mine", path="custom://place")

    with pytest.raises(
        ArtifactStoreInterfaceError, match=r"fsspec knows no scheme 'custom://'.*override the file operations"
    ):
        store.exists("custom://place/x")


def test_a_scheme_whose_package_is_missing_names_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    store = MemoryArtifactStore(name="mine", path="s3://bucket")

    with pytest.raises(MissingPackageError, match=r"'s3://' need a package that is not installed: .*s3fs"):
        store.exists("s3://bucket/x")


def test_a_store_without_schemes_says_what_to_set():
    class Schemeless(BaseArtifactStore):
        FLAVOR: ClassVar[str] = "schemeless"

    with pytest.raises(
        ArtifactStoreInterfaceError, match="'.*Schemeless' must set the class variable SUPPORTED_SCHEMES"
    ):
        Schemeless(name="x", path="/x")


def test_a_store_without_flavor_says_what_to_set():
    class Flavorless(BaseArtifactStore):
        SUPPORTED_SCHEMES: ClassVar[set[str]] = {""}

    with pytest.raises(StackComponentInterfaceError, match="FLAVOR"):
        Flavorless(name="x", path="/x")


def test_a_path_of_another_scheme_is_refused():
    with pytest.raises(
        ArtifactStoreInterfaceError, match=r"'gs://x' cannot .*MyCustomArtifactStore .*'custom://'"
    ):
        MyCustomArtifactStore(name="x", path="gs://x")


def test_one_store_does_not_change_another_of_its_scheme():
    first = MemoryArtifactStore(name="a", path=f"memory://{uuid4()}")
    second = MemoryArtifactStore(name="b", path=f"memory://{uuid4()}")
    with first.open(f"{first.path}/file", "w") as file:
        file.write("first")

    assert not second.exists(f"{second.path}/file")
    with pytest.raises(ArtifactStoreInterfaceError, match="outside of the artifact store 'b'"):
        second.exists(f"{first.path}/file")


def test_the_reach_of_a_store_follows_from_where_its_files_are(tmp_path):
    assert MemoryArtifactStore(name="a", path="memory://x").reach is Reach.PROCESS
    assert MemoryArtifactStore(name="a", path="s3://x").reach is Reach.NETWORK
    assert MemoryArtifactStore(name="a", path="s3://x").local_path is None
    store = LocalArtifactStore(name="a", path=tmp_path)
    assert store.reach is Reach.HOST
    assert store.local_path == str(tmp_path)


def test_storage_options_reach_the_file_system():
    class Optioned(MemoryArtifactStore):
        FLAVOR: ClassVar[str] = "optioned"
        token: str = ""

        @property
        def storage_options(self):
            return {"token": self.token}

    store = Optioned(name="a", path="memory://x", token="{{env.MY_TOKEN}}")
    os.environ["MY_TOKEN"] = "resolved"

    assert store._files._fs.storage_options == {"token": "resolved"}


def test_a_path_with_a_reference_is_checked_when_it_is_known(monkeypatch, tmp_path):
    store = LocalArtifactStore(name="a", path="{{env.WHERE}}/store")
    assert store.to_record().configuration["path"] == "{{env.WHERE}}/store"

    monkeypatch.setenv("WHERE", "~")
    assert store.path == str(Path("~/store").expanduser())
    store.makedirs(f"{store.path}/folder")
    assert Path("~/store/folder").expanduser().is_dir()

    monkeypatch.setenv("WHERE", "s3://bucket")
    with pytest.raises(ArtifactStoreInterfaceError, match="s3://"):
        _ = store.path


def test_a_local_path_is_made_absolute_at_once(monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    relative = LocalArtifactStore(name="a", path="here/../there/")
    monkeypatch.chdir("/")

    assert relative.path == str(tmp_path / "there")
    assert LocalArtifactStore(name="a", path="~/store").path == str(home / "store")


@pytest.mark.parametrize(
    "path", ["s3://bucket", "gs://bucket/x", "hdfs://x", "az://x", "abfs://x", "file:///tmp"]
)
def test_a_local_store_takes_no_url(path):
    with pytest.raises(
        ArtifactStoreInterfaceError, match=r"'\w+://', but .*'local' is a folder of this machine"
    ):
        LocalArtifactStore(name="a", path=path)


def test_a_local_store_needs_a_path():
    with pytest.raises(ArtifactStoreInterfaceError, match="is empty"):
        LocalArtifactStore(name="a", path="")


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    (tmp_path / "store").mkdir()
    return LocalArtifactStore(name="local", path=tmp_path / "store")


def test_nothing_is_written_through_a_link_that_leads_out(store, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    Path(store.path, "link").symlink_to(outside)
    Path(store.path, "linked-file").symlink_to(outside / "file")
    link = f"{store.path}/link"

    for operation in (
        lambda: store.open(f"{link}/new", "w"),
        lambda: store.open(f"{link}/file", "a"),
        lambda: store.open(f"{store.path}/linked-file", "a"),
        lambda: store.makedirs(f"{link}/folder"),
        lambda: store.mkdir(f"{link}/folder"),
        lambda: store.remove(f"{link}/file"),
        lambda: store.rename(f"{link}/file", f"{store.path}/x"),
        lambda: store.copyfile(f"{link}/file", f"{link}/copy"),
        lambda: store.rmtree(link),
    ):
        with pytest.raises(
            ArtifactStoreInterfaceError, match="leads out of the artifact store 'local' by a symbolic link"
        ):
            operation()

    assert [path.name for path in outside.iterdir()] == ["file"]
    with store.open(f"{link}/file") as file:
        assert file.read() == "untouched"


def test_a_folder_that_was_there_may_hold_links_that_lead_out(store, tmp_path):
    (tmp_path / "outside").write_text("untouched")
    store.makedirs(f"{store.path}/folder")
    Path(store.path, "folder", "link").symlink_to(tmp_path / "outside")

    store.makedirs(f"{store.path}/folder")
    with pytest.raises(ArtifactStoreInterfaceError, match="symbolic link"):
        store.open(f"{store.path}/folder/link", "a")


def test_a_link_that_stays_inside_may_be_used(store):
    store.makedirs(f"{store.path}/real")
    Path(store.path, "link").symlink_to(f"{store.path}/real")

    with store.open(f"{store.path}/link/file", "w") as file:
        file.write("x")

    assert store.exists(f"{store.path}/real/file")


def test_a_store_behind_a_link_is_a_store(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = LocalArtifactStore(name="a", path=tmp_path / "link")

    store.makedirs(f"{store.path}/folder")

    assert (tmp_path / "real" / "folder").is_dir()


def test_a_file_appears_whole_or_not_at_all(store):
    path = f"{store.path}/file"
    file = store.open(path, "wb")
    file.write(b"x" * 1_000_000)
    assert not store.exists(path)
    file.close()
    assert store.size(path) == 1_000_000

    for mode, content in (("w", "half"), ("wb", b"half")):
        with pytest.raises(ZeroDivisionError):  # noqa: PT012, SIM117 - the block is what fails
            with store.open(path, mode) as file:
                file.write(content)
                raise ZeroDivisionError
    assert store.size(path) == 1_000_000
    assert store.listdir(store.path) == ["file"]


def test_a_file_does_not_take_the_place_of_a_folder(store):
    store.makedirs(f"{store.path}/folder")

    with pytest.raises(IsADirectoryError), store.open(f"{store.path}/folder", "w") as file:
        file.write("x")

    assert store.listdir(store.path) == ["folder"]
    store.open(f"{store.path}/file", "w").close()
    with pytest.raises(FileExistsError):
        store.makedirs(f"{store.path}/file")


def test_a_folder_without_rights_is_named(store):
    if os.geteuid() == 0:
        os.seteuid(65534)
    try:
        with pytest.raises(PermissionError, match="store"):
            store.makedirs(f"{store.path}/x")
    finally:
        if os.getuid() == 0:
            os.seteuid(0)


def test_a_local_store_needs_no_fsspec():
    code = (
        "import sys; from zenml.artifact_stores import LocalArtifactStore; "
        "LocalArtifactStore(name='a', path='x').exists(LocalArtifactStore(name='a', path='x').path); "
        "print(sorted({'fsspec', 'numpy', 'pandas', 'sqlalchemy'} & set(sys.modules)))"
    )

    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
        == "[]"
    )
