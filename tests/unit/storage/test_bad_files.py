"""Files and databases that cannot be used: the message says which, where and what to do; nothing is overwritten."""

import os
import resource
import traceback
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from zenml.exceptions import ConfigurationError, MissingPackageError, StoreError, UnreadableFileError
from zenml.model.records import ComponentRecord, StackRecord
from zenml.storage import Collection, yaml
from zenml.storage.sql import SQLBackend
from zenml.storage.yaml_folder import YamlFolder


@pytest.fixture
def store(tmp_path: Path) -> YamlFolder:
    folder = YamlFolder(tmp_path / "store")
    write(folder)
    return folder


def write(folder: YamlFolder) -> None:
    with folder.transaction(write=True) as session:
        Collection(session, StackRecord).add(StackRecord("default", {}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "store.yaml, line 1: expected a mapping, but it is empty"),
        ("- a\n- b\n", "store.yaml, line 1: expected a mapping, but it holds a list"),
        ("version: 1\nstacks:\n  default: {orchestrator: [\n", "store.yaml, line 4: this is no valid YAML"),
        (
            "version: 1\nstacks: {}\nstacks: {}\n",
            "store.yaml, line 3: this is no valid YAML: the key 'stacks' occurs twice",
        ),
        ("version: 1\nstacks:\n  - default\n", "store.yaml, line 3: 'stacks' must map names to records"),
        (
            "version: 1\nstacks:\n  default: x\n",
            "store.yaml, line 3: the record 'default' of 'stacks' must be a mapping",
        ),
        ("version: one\n", "store.yaml, line 1: the version is 'one', not a number"),
        (
            "version: 1\nstacks: !!python/object/apply:os.system [id]\n",
            "store.yaml, line 2: this is no valid YAML",
        ),
        ("version: 1\n\x07", "store.yaml: this is no valid YAML"),
    ],
)
def test_an_unreadable_file_is_named_with_its_line_and_left_alone(store, content, message):
    path = store.folder / "store.yaml"
    path.write_text(content)

    for write_ in (False, True):
        with pytest.raises(UnreadableFileError) as caught, store.transaction(write=write_):
            pass
        assert message in str(caught.value)
        assert str(path) in str(caught.value)
    assert path.read_text() == content


def test_a_file_in_another_encoding_is_named_with_its_line(store):
    path = store.folder / "store.yaml"
    path.write_bytes("version: 1\n# übung\n".encode("latin-1"))

    with pytest.raises(UnreadableFileError, match=r"store\.yaml, line 2: this is no UTF-8 text"):
        write(store)


def test_a_record_of_the_wrong_shape_is_named_with_its_line(store):
    path = store.folder / "store.yaml"
    path.write_text("version: 1\nstack_components:\n  orchestrator/default:\n    uuid: x\n")

    with store.transaction(write=False) as session:
        components = Collection(session, ComponentRecord)
        with pytest.raises(UnreadableFileError) as caught:
            components.get("orchestrator/default")
    assert str(caught.value).startswith(f"{path}, line 4: this is no stack component: 'flavor' is missing")


def test_a_file_of_a_newer_version_is_left_alone(store):
    path = store.folder / "store.yaml"
    path.write_text("version: 2\nstacks: {}\n")

    with pytest.raises(StoreError, match="was written by a newer version"):
        write(store)
    assert path.read_text() == "version: 2\nstacks: {}\n"


def test_dates_and_the_like_stay_texts():
    assert yaml.load("a: 2026-11-21\nb: 12:30\n", "x")["a"] == "2026-11-21"
    assert yaml.load(yaml.dump({"a": "2026-11-21", "b": "yes", "c": "1"}), "x") == {
        "a": "2026-11-21",
        "b": "yes",
        "c": "1",
    }


def test_a_repeated_value_is_written_out():
    path = {"path": "/data"}
    assert yaml.dump({"a": path, "b": path}) == "a:\n  path: /data\nb:\n  path: /data\n"


def test_a_folder_without_rights(store, tmp_path):
    before = (store.folder / "store.yaml").read_text()
    with unprivileged(tmp_path):
        with pytest.raises(StoreError, match="you may not write to it"):
            write(YamlFolder(store.folder))
        with pytest.raises(StoreError, match=r"The folder '.*new' cannot be made: Permission denied"):
            write(YamlFolder(tmp_path / "new"))
    assert (store.folder / "store.yaml").read_text() == before


class unprivileged:  # noqa: N801 - reads as a context
    """Without the right to write below a folder, also when root runs the tests."""

    def __init__(self, folder: Path) -> None:
        self.folders = [folder, *(p for p in folder.rglob("*") if p.is_dir())]
        self.parents = [
            p
            for p in folder.parents
            if p.stat().st_uid == os.getuid() and p.parts[:2] == ("/", "tmp") and len(p.parts) > 2
        ]

    def __enter__(self) -> None:
        self.modes = [(p, p.stat().st_mode) for p in [*self.folders, *self.parents]]
        for folder in self.folders:
            folder.chmod(0o555)
        for parent in self.parents:
            parent.chmod(0o755)
        if os.getuid() == 0:
            os.seteuid(65534)

    def __exit__(self, *_: object) -> None:
        if os.getuid() == 0:
            os.seteuid(0)
        for path, mode in self.modes:
            path.chmod(mode)


def test_a_full_disk(store):
    before = (store.folder / "store.yaml").read_text()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(StoreError) as caught, store.transaction(write=True) as session:
            session.put("stacks", "big", {"filler": "x" * 1000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert "store.yaml' cannot be written: File too large. It is left as it was." in str(caught.value)
    assert (store.folder / "store.yaml").read_text() == before
    assert sorted(p.name for p in store.folder.iterdir()) == ["store.lock", "store.yaml"]


def test_a_link_stays_a_link(store, tmp_path):
    path = store.folder / "store.yaml"
    path.rename(tmp_path / "elsewhere.yaml")
    path.symlink_to(tmp_path / "elsewhere.yaml")
    with store.transaction(write=True) as session:
        session.put("stacks", "another", {})
    assert path.is_symlink()
    assert "another" in (tmp_path / "elsewhere.yaml").read_text()


def test_a_files_rights_are_kept(store):
    path = store.folder / "store.yaml"
    path.chmod(0o640)
    with store.transaction(write=True) as session:
        session.put("stacks", "another", {})
    assert path.stat().st_mode & 0o777 == 0o640


# Databases


def test_an_unreachable_database_is_named_without_its_password():
    for url in ("postgresql://ann:pa55word@127.0.0.1:1/zenml", "mariadb://ann:pa55word@127.0.0.1:1/zenml"):
        with pytest.raises(StoreError) as caught, SQLBackend(url).transaction(write=False):
            pass
        assert "ann:***@127.0.0.1:1/zenml" in str(caught.value)
        assert "cannot be used" in str(caught.value)
        assert "pa55word" not in "".join(traceback.format_exception(caught.value))
        assert "pa55word" not in repr(SQLBackend(url))


def test_a_wrong_password_is_not_shown(postgresql_database, mariadb_database):
    for url in (postgresql_database, mariadb_database):
        head, _, tail = url.partition("admin:")
        wrong = f"{head}admin:pa55word@{tail.partition('@')[2]}"
        with pytest.raises(StoreError) as caught, SQLBackend(wrong).transaction(write=True):
            pass
        assert "pa55word" not in str(caught.value)
        assert "password" in str(caught.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "none of a database: expected an SQLAlchemy URL"),
        ("oracle://host/db", "The database 'oracle' cannot keep profiles"),
        ("postgresql+nope://host/db", "There is no driver 'nope' for postgresql"),
    ],
)
def test_a_url_that_cannot_be_one(url, message):
    with pytest.raises(ConfigurationError, match=message):
        SQLBackend(url)


def test_a_driver_that_is_not_installed():
    with pytest.raises(
        MissingPackageError,
        match="The driver 'cymysql' for mysql is not installed: run `pip install 'cymysql'`",
    ):
        SQLBackend("mysql+cymysql://host/db")


def test_a_database_of_a_newer_version_is_refused_by_name(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with SQLBackend(url).transaction(write=True) as session:
        session.put("stacks", "default", {})
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE zenml_schema SET version = 2"))
    engine.dispose()

    for write_ in (False, True):
        with (
            pytest.raises(
                StoreError,
                match=r"store\.db was written by a newer version \(schema 2; this one reads up to 1\)",
            ),
            SQLBackend(url).transaction(write=write_),
        ):
            pass


def test_a_file_that_is_no_database(tmp_path):
    (tmp_path / "store.db").write_text("no database at all, but long enough to be looked at\n" * 40)
    store = SQLBackend(f"sqlite:///{tmp_path / 'store.db'}")
    with pytest.raises(StoreError, match="file is not a database"), store.transaction(write=True):
        pass
