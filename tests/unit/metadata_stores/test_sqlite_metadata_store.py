"""The store in a file: where it lies, who uses it at once, and what it says when it cannot be used."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.metadata_stores import DEAD, apart, artifact, complete, finish, register, start
from zenml.enums import ExecutionStatus, Reach
from zenml.exceptions import ConfigurationError, StoreError
from zenml.liveness import this_process
from zenml.metadata_stores import SQLiteMetadataStore

ROOT = Path(__file__).parents[3]


def sqlite(path: Path | str, name: str = "local") -> SQLiteMetadataStore:
    return SQLiteMetadataStore(name=name, uri=str(path))


# The file


def test_the_path_is_made_absolute(home, tmp_path):
    assert sqlite("~/a/b.db").uri == str(home / "a" / "b.db")
    assert sqlite("b.db").uri == str(tmp_path / "project" / "b.db")
    assert sqlite("/x/b.db").local_path == "/x"
    assert sqlite("/x/b.db").reach is Reach.HOST


@pytest.mark.parametrize(
    "uri", ["s3://bucket/x.db", "gs://x", "hdfs://x", "sqlite:///x.db", "mysql://host/db"]
)
def test_a_path_elsewhere_is_refused(uri):
    with pytest.raises(
        ConfigurationError, match=r"uri: .* is no path of a file on this machine.*mysql or postgresql"
    ):
        sqlite(uri)


def test_an_empty_path_is_refused():
    with pytest.raises(ConfigurationError, match="uri: it is empty; expected the path of a file"):
        sqlite("")


def test_reading_makes_nothing(tmp_path):
    store = sqlite(tmp_path / "a" / "b" / "metadata.db")
    assert store.runs() == []
    assert store.count_runs() == 0
    assert not (tmp_path / "a").exists()


def test_the_first_write_makes_the_folders(tmp_path):
    store = sqlite(tmp_path / "a" / "b" / "metadata.db")
    register(store)
    assert store.count_runs() == 1
    with closing(sqlite3.connect(store.uri)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


@pytest.mark.parametrize("name", ["with blank", "ü%41?mode=ro#x", "走る.db", "a;b'c\"d"])
def test_any_file_name(tmp_path, name):
    store = sqlite(tmp_path / name)
    register(store)
    assert (tmp_path / name).is_file()
    assert sqlite(tmp_path / name).count_runs() == 1


def test_copies_of_a_component_share_their_connections(tmp_path):
    store = sqlite(tmp_path / "metadata.db")
    bound = store.bound(lambda name, key: "")
    register(bound)
    assert store._database is bound._database


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_of_many_stores_the_last_few_are_kept_open(tmp_path):
    for number in range(12):
        store = sqlite(tmp_path / f"{number}.db")
        register(store)
    del store
    gc.collect()
    files = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert len([file for file in files if file.parent == tmp_path and file.suffix == ".db"]) == 4


def test_sqlalchemy_is_not_imported_before_a_store_is_used(tmp_path):
    code = """
        import sys
        import zenml.metadata_stores
        from zenml.metadata_stores import MySQLMetadataStore, PostgreSQLMetadataStore, SQLiteMetadataStore
        store = SQLiteMetadataStore(name="local", uri=sys.argv[1])
        store.to_record()
        assert not {"sqlalchemy", "alembic", "psycopg", "pymysql"} & set(sys.modules)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "x.db")], cwd=ROOT, check=True
    )


def test_an_unknown_name_of_the_package_is_refused():
    import zenml.metadata_stores

    with pytest.raises(AttributeError, match="no attribute 'OracleMetadataStore'"):
        _ = zenml.metadata_stores.OracleMetadataStore


def test_a_file_that_was_removed_is_made_again(tmp_path):
    store = sqlite(tmp_path / "metadata.db")
    register(store, "before")
    for file in tmp_path.glob("metadata.db*"):
        file.unlink()
    register(store, "after")
    assert [run.name for run in sqlite(store.uri).runs()] == ["after"]
    assert [run.name for run in store.runs()] == ["after"]


def test_a_file_that_was_replaced_is_opened_anew(tmp_path):
    store, other = sqlite(tmp_path / "metadata.db"), sqlite(tmp_path / "other.db")
    register(store, "mine")
    register(other, "restored")
    other._database.engine.dispose()
    store._database.engine.dispose()
    (tmp_path / "other.db").rename(tmp_path / "metadata.db")
    assert [run.name for run in store.runs()] == ["restored"]


# Several processes

WRITER = """
    import sys
    from tests.metadata_stores import complete, finish, register
    from zenml.metadata_stores import SQLiteMetadataStore
    path, number, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    sys.stdin.readline()
    for i in range(count):
        store = SQLiteMetadataStore(name="local", uri=path) if i % 5 == 0 else store
        run = register(store, f"{number}/{i}", steps=["a", "b", "c"])
        outputs = {}
        for step in run.step_run_ids.values():
            (output,) = complete(store, step, f"{number}/{i}/{step}", inputs=outputs)
            outputs = {"x": output.id}
        finish(store, run)
        assert store.runs(limit=1, newest_first=True)
"""


def test_many_processes_write_at_once(tmp_path):
    path = tmp_path / "new" / "metadata.db"
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(WRITER), str(path)]
    writers = [
        subprocess.Popen(
            [*command, str(number), "10"], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(16)
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    errors = [writer.communicate()[1] for writer in writers]
    assert [error for error in errors if error] == []
    assert [writer.returncode for writer in writers] == [0] * 16
    store = sqlite(path)
    assert store.count_runs() == 160
    assert {run.status for run in store.runs()} == {ExecutionStatus.COMPLETED}
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM zenml_artifacts").fetchone() == (480,)


def test_a_forked_process_has_connections_of_its_own(tmp_path):
    store = sqlite(tmp_path / "metadata.db")
    register(store, "parent")
    child = os.fork()
    if child == 0:
        try:
            register(store, "child")
            os._exit(0 if store.count_runs() == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    register(store, "parent again")
    assert [run.name for run in store.runs()] == ["parent", "child", "parent again"]


def test_a_killed_writer_leaves_all_or_nothing(tmp_path):
    path = tmp_path / "metadata.db"
    register(sqlite(path), "before")
    code = """
        import os, signal, sys
        from tests.metadata_stores import artifact, complete, register, start
        from zenml.metadata_stores import SQLiteMetadataStore
        store = SQLiteMetadataStore(name="local", uri=sys.argv[1])
        run = register(store, "killed", steps=["a", "b"])
        complete(store, run.step_run_ids["a"])
        claim = start(store, run.step_run_ids["b"])
        def work(tx):
            sql = store._database.sql
            tx.run(sql.complete_step, {"step_run_id": claim.step_run_id, "token": claim.token, "now": 1.0})
            os.kill(os.getpid(), signal.SIGKILL)
        store._database.write(work)
    """
    killed = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], cwd=ROOT, check=False)
    assert killed.returncode == -9
    store = sqlite(path)
    a, b = store.steps(store.run_by_name("killed").id)
    assert (a.status, b.status) == (ExecutionStatus.COMPLETED, ExecutionStatus.RUNNING)
    assert store.outputs(b.id) == {}
    complete(store, b.id)


def test_a_reader_does_not_wait_for_a_writer(tmp_path):
    store = sqlite(tmp_path / "metadata.db")
    register(store)
    with closing(sqlite3.connect(store.uri, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE zenml_runs SET stack = 'other'")
        assert store.run_by_name("run").stack == "default"
        other.execute("ROLLBACK")


def test_a_writer_waits_for_another(tmp_path):
    store = sqlite(tmp_path / "metadata.db")
    register(store)
    other = sqlite3.connect(store.uri, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    register(store, "second")
    release.join()
    other.close()
    assert store.count_runs() == 2


# What cannot be used


def test_a_lock_that_never_ends_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr("zenml.metadata_stores.database._PATIENCE", 0.2)
    store = sqlite(tmp_path / "metadata.db")
    register(store)
    with closing(sqlite3.connect(store.uri, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(
            StoreError, match=r"'local' in the file .*metadata\.db.* locked.* end it, and try again"
        ):
            register(store, "second")
    register(store, "second")


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "metadata.db"
    path.write_text("this is not a database, but it is long enough to be looked at as if it were one\n" * 20)
    before = path.read_bytes()
    with pytest.raises(
        StoreError, match=r"file is not a database\. Restore it from a backup, or move it away"
    ):
        sqlite(path).runs()
    with pytest.raises(StoreError, match="file is not a database"):
        register(sqlite(path))
    assert path.read_bytes() == before


def test_a_folder_in_the_place_of_the_file(tmp_path):
    with pytest.raises(StoreError, match=r"unable to open database file\. May you write in the folder"):
        register(sqlite(tmp_path))


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot be made: (Not a directory|File exists): '.*file"):
        register(sqlite(tmp_path / "file" / "metadata.db"))


@contextmanager
def as_nobody():
    """Rights do not bind root: be somebody else for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder(tmp_path) -> Path:
    """A folder that others can reach."""
    folder = tmp_path / "open"
    folder.mkdir()
    for parent in (folder, *folder.parents):
        if parent.stat().st_uid == os.geteuid() and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    return folder


def test_a_folder_without_rights(open_folder):
    open_folder.chmod(0o555)
    with as_nobody():
        with pytest.raises(
            StoreError, match=r"cannot be made: Permission denied: '.*inner'\. May you write there\?"
        ):
            register(sqlite(open_folder / "inner" / "metadata.db"))
        with pytest.raises(StoreError, match=r"unable to open database file\. May you write in the folder"):
            register(sqlite(open_folder / "metadata.db"))


def test_a_folder_out_of_reach_is_not_taken_for_an_empty_store(open_folder):
    register(sqlite(open_folder / "metadata.db"))
    open_folder.chmod(0o000)
    with (
        as_nobody(),
        pytest.raises(StoreError, match=r"'local' in the file .*(Permission denied|unable to open)"),
    ):
        sqlite(open_folder / "metadata.db").runs()


def test_a_file_without_rights_to_write(open_folder):
    path = open_folder / "metadata.db"
    register(sqlite(path))
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with as_nobody(), pytest.raises(StoreError, match=r"cannot be used: .*\. May you write in the folder"):
        register(apart(sqlite(path)), "second")


def test_a_full_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount a small tmpfs")
    try:
        store = sqlite(folder / "metadata.db")
        kept = register(store, "kept")
        complete(store, kept.step_run_ids["load"])
        finish(store, kept)

        def fill_up() -> None:
            for number in range(1_000):
                register(store, f"run {number}", deployment="x" * 20_000)

        with pytest.raises(
            StoreError, match=r"(full|disk I/O error).*Is there room left on the disk .*small'"
        ):
            fill_up()
        assert store.run_by_name("kept").status is ExecutionStatus.COMPLETED
        count = store.count_runs()
        with closing(sqlite3.connect(store.uri)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        subprocess.run(["mount", "-o", "remount,size=4m", str(folder)], check=True)
        step = register(store, "afterwards").step_run_ids["load"]
        store.complete_attempt(start(store, step), [artifact()])
        assert store.count_runs() == count + 1
        store._database.engine.dispose()
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


# Who lives

RUN_IN_A_CONTAINER = """
    import sys, time
    from dataclasses import replace
    from tests.metadata_stores import register, start
    from zenml.liveness import this_process
    from zenml.metadata_stores import SQLiteMetadataStore
    store = SQLiteMetadataStore(name="local", uri=sys.argv[1])
    owner = replace(this_process(), pid_namespace="pid:[2]")
    run = register(store, owner=owner, lease_until=time.time() - 1)
    start(store, run.step_run_ids["load"])
    print("started", flush=True)
    sys.stdin.read()
"""


def test_a_process_of_another_container_lives_until_it_ends(tmp_path):
    path = tmp_path / "metadata.db"
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN_IN_A_CONTAINER), str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.readline()
        store = sqlite(path)
        for _ in range(2):  # looking must not let go of it
            assert store.run_by_name("run").status is ExecutionStatus.RUNNING
        process.kill()
        process.wait()
    assert store.run_by_name("run").status is ExecutionStatus.CRASHED


def test_a_child_does_not_keep_its_parent_alive(tmp_path):
    path = tmp_path / "metadata.db"
    code = RUN_IN_A_CONTAINER.replace(
        'print("started", flush=True)',
        "import os\n    child = os.fork()\n    if child == 0:\n        time.sleep(30)\n        os._exit(0)\n    print(child, flush=True)",
    )
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        child = int(process.stdout.readline())
        assert sqlite(path).run_by_name("run").status is ExecutionStatus.RUNNING
        process.kill()
        process.wait()
        assert sqlite(path).run_by_name("run").status is ExecutionStatus.CRASHED
        os.kill(child, signal.SIGKILL)


def test_whoever_has_left_no_lock_has_its_lease(tmp_path):
    store = sqlite(tmp_path / "metadata.db")
    run = register(store, lease_until=time.time() - 1)
    assert store.run(run.run_id).status is ExecutionStatus.CRASHED


# Where it lies


def test_on_a_network_file_system_it_says_so_once_and_writes_no_log_ahead(tmp_path, monkeypatch, caplog):
    local = sqlite(tmp_path / "moved.db")
    register(local, "before")
    local._database.engine.dispose()
    table = tmp_path / "mounts"
    table.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    monkeypatch.setattr("zenml.io.mounts._TABLE", table)
    for name in ("new.db", "moved.db"):
        caplog.clear()
        path = tmp_path / name
        store = apart(sqlite(path))
        register(store, "after")
        assert store.run_by_name("after").status is ExecutionStatus.RUNNING
        (message,) = [record.getMessage() for record in caplog.records]
        assert f"'local' in the file '{path}' lies on a network file system (nfs4)" in message
        assert "let the processes of one machine at a time use it" in message
        assert "use the flavor postgresql or mysql" in message
        assert not (tmp_path / f"{name}-wal").exists()
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        with store._database.engine.connect() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2


def test_many_processes_write_at_once_on_a_network_file_system(tmp_path, monkeypatch):
    store = sqlite(tmp_path / "metadata.db")
    with monkeypatch.context() as changed:
        table = tmp_path / "mounts"
        table.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
        changed.setattr("zenml.io.mounts._TABLE", table)
        register(store, "first")
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(WRITER), store.uri]
    writers = [
        subprocess.Popen(
            [*command, str(number), "3"], cwd=ROOT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number in range(6)
    ]
    assert [error for error in (writer.communicate("go\n")[1] for writer in writers) if error] == []
    assert store.count_runs() == 1 + 6 * 3


@pytest.mark.parametrize(("durability", "expected"), [("normal", 1), ("full", 2)])
def test_durability_is_a_setting(tmp_path, durability, expected):
    store = SQLiteMetadataStore(name="local", uri=str(tmp_path / "metadata.db"), durability=durability)
    register(store)
    with store._database.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == expected


def test_another_durability_is_refused():
    with pytest.raises(ConfigurationError, match="durability: Input should be 'normal' or 'full'"):
        SQLiteMetadataStore(name="local", uri="/x.db", durability="high")


def test_whoever_may_only_read_is_told_the_truth(open_folder):
    path = open_folder / "metadata.db"
    run = register(sqlite(path), owner=DEAD, steps=["a", "b"])
    start(sqlite(path), run.step_run_ids["a"])
    sqlite(path)._database.engine.dispose()
    with closing(sqlite3.connect(path)) as connection:
        # A log that is written ahead has files of its own, which nobody may make here.
        connection.execute("PRAGMA journal_mode=DELETE")
    path.chmod(0o444)
    open_folder.chmod(0o555)
    with as_nobody():
        store = apart(sqlite(path))
        assert store.run(run.run_id).status is ExecutionStatus.CRASHED
        assert [(s.status, s.reason) for s in store.steps(run.run_id)] == [
            (ExecutionStatus.CRASHED, None),
            (ExecutionStatus.SKIPPED, "the run crashed"),
        ]
        assert [a.status for a in store.attempts(run.step_run_ids["a"])] == [ExecutionStatus.CRASHED]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT status FROM zenml_runs").fetchall() == [("running",)]


def test_an_end_that_could_not_be_recorded_is_recorded_later(tmp_path, monkeypatch):
    monkeypatch.setattr("zenml.metadata_stores.database._PATIENCE", 0.1)
    store = sqlite(tmp_path / "metadata.db")
    runs = [register(store, name, owner=this_process()) for name in ("one", "two")]
    with closing(sqlite3.connect(store.uri, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for run, status in zip(runs, (ExecutionStatus.COMPLETED, ExecutionStatus.FAILED), strict=True):
            with pytest.raises(StoreError, match="locked"):
                store.finish_run(run.run_id, status)
        assert [run.status for run in store.runs()] == [ExecutionStatus.RUNNING] * 2
        other.execute("ROLLBACK")
    assert [run.status for run in store.runs()] == [ExecutionStatus.COMPLETED, ExecutionStatus.FAILED]
    assert [step.status for step in store.steps(runs[0].run_id)] == [ExecutionStatus.SKIPPED]


# What is broken


@pytest.fixture
def written(tmp_path) -> Path:
    """A store of fifty runs in one file."""
    store = sqlite(tmp_path / "metadata.db")
    for number in range(50):
        run = register(store, f"run {number}", deployment="x" * 2_000)
        complete(store, run.step_run_ids["load"], f"{number}")
        finish(store, run)
    store._database.engine.dispose()
    with closing(sqlite3.connect(store.uri)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(store.uri)


def read_all(store: SQLiteMetadataStore) -> None:
    for run in store.runs():
        store.deployment(run.id)
        store.steps(run.id)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.98])
def test_a_file_that_was_cut_off(written, kept):
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(StoreError, match=r"malformed\. Restore it from a backup, or move it away") as caught:
        read_all(apart(sqlite(written)))
    assert f"'local' in the file '{written}'" in str(caught.value)


def test_bytes_that_were_overwritten(written):
    content = bytearray(written.read_bytes())
    for place in range(4096, len(content) - 4096, 3 * 4096):
        content[place : place + 200] = b"\xff" * 200
    written.write_bytes(content)
    with pytest.raises(StoreError, match=r"malformed\. Restore it from a backup"):
        read_all(apart(sqlite(written)))


def test_an_empty_file_is_a_new_store(tmp_path):
    path = tmp_path / "metadata.db"
    path.touch()
    store = sqlite(path)
    assert store.runs() == []
    register(store)
    assert store.count_runs() == 1
