"""Stores of other versions of the schema: earlier ones are upgraded after a backup, newer ones are refused."""

import json
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Column, MetaData, Text, create_engine, inspect

from tests.metadata_stores import OWNER, apart, complete, finish, hit, register, server_store, share
from zenml._version import __version__
from zenml.enums import ExecutionStatus
from zenml.exceptions import StoreError
from zenml.metadata_stores import BaseMetadataStore, SQLiteMetadataStore
from zenml.metadata_stores.schema import CURRENT, Schema, version
from zenml.metadata_stores.upgrade import Upgrade
from zenml.model.runs import Claim, Origin

PRESENT = CURRENT.revision
LATER = f"{int(PRESENT) + 1:04}"
NEXT = f"""
import sqlalchemy as sa
from alembic import op

revision = "{LATER}"
down_revision = "{PRESENT}"


def upgrade() -> None:
    with op.batch_alter_table("zenml_runs") as runs:
        runs.add_column(sa.Column("note", sa.Text()))
    op.execute("UPDATE zenml_runs SET note = 'from before'")
"""  # noqa: S608 - nobody's input


@pytest.fixture
def next_schema(tmp_path) -> Schema:
    """The schema of a later version of this code: the runs have a note."""
    folder = tmp_path / "migrations"
    shutil.copytree(CURRENT.migrations, folder)
    (folder / "versions" / f"revision_{LATER}.py").write_text(NEXT)
    metadata = MetaData()
    for table in CURRENT.metadata.tables.values():
        copy = table.to_metadata(metadata)
        if table.name == "zenml_runs":
            copy.append_column(Column("note", Text))
    return Schema(metadata, LATER, folder)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def make_store(request, tmp_path):
    if request.param == "sqlite":
        return lambda: SQLiteMetadataStore(name="local", uri=str(tmp_path / "store" / "metadata.db"))
    url = request.getfixturevalue(f"{request.param}_database")
    return lambda: server_store(url)


def with_schema(store: BaseMetadataStore, schema: Schema) -> BaseMetadataStore:
    """The store as code with another schema opens it."""
    return apart(store, schema=schema)


def fill(store: BaseMetadataStore) -> None:
    first = register(store, "first")
    complete(store, first.step_run_ids["load"])
    finish(store, first)


def versions(store: BaseMetadataStore) -> list[tuple[str, str]]:
    with store._database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(version.select())]


def test_a_new_store_has_the_present_revision(make_store):
    store = make_store()
    fill(store)
    assert versions(store) == [(CURRENT.revision, __version__)]


def test_an_earlier_store_is_upgraded_after_a_backup(make_store, next_schema, caplog):
    fill(make_store())
    store = with_schema(make_store(), next_schema)
    (run,) = store.runs()
    assert (run.name, run.status) == ("first", ExecutionStatus.COMPLETED)
    assert store.find_results(["k"], "/store") != {}
    assert versions(store) == [(LATER, __version__)]
    with store._database.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT note FROM zenml_runs").scalars().all() == ["from before"]
    second = register(store, "second")
    complete(store, second.step_run_ids["load"])
    assert store.count_runs() == 2
    (message,) = [
        record.getMessage() for record in caplog.records if "schema revision" in record.getMessage()
    ]
    assert f"from the schema revision '{PRESENT}' to '{LATER}'" in message

    if isinstance(store, SQLiteMetadataStore):
        (backup,) = Path(store.uri).parent.glob("*.backup")
        assert repr(str(backup)) in message
        old = SQLiteMetadataStore(name="old", uri=str(backup))
        assert [run.name for run in old.runs()] == ["first"]
        assert versions(old) == [(PRESENT, __version__)]
    else:
        assert f"the tables 'backup_{PRESENT}_...' of the same database" in message
        with store._database.engine.connect() as connection:
            names = (
                connection.exec_driver_sql(f"SELECT name FROM backup_{PRESENT}_zenml_runs").scalars().all()  # noqa: S608
            )
        assert names == ["first"]


# Stores as earlier versions wrote them

STORES = Path(__file__).parent / "stores"


@pytest.mark.parametrize("revision", sorted(path.stem for path in STORES.glob("*.sql")))
def test_the_store_of_every_earlier_version_opens(make_store, revision):
    store = make_store()
    write_store(store, revision)

    killed, second, first = store.runs(newest_first=True)
    assert [run.status for run in (first, second, killed)] == [
        ExecutionStatus.COMPLETED,
        ExecutionStatus.FAILED,
        ExecutionStatus.CRASHED,
    ]
    assert versions(store) == [(PRESENT, __version__)]
    assert store.count_runs() == 3
    assert first.runtime_configuration == {"run_name": "first"}
    assert (first.git_sha, first.origin) == ("a" * 40, None)
    assert (first.owner, second.error.message) == (OWNER, "too small")
    assert store.deployment(first.id) == '{"version":1}'

    load, train = store.steps(first.id)
    assert (load.parameters, load.docstring) == ({"path": "digits.csv"}, "Load it.")
    assert load.key_parts == {"code load": "1" * 64, "output data": "2" * 64}
    (data,) = store.outputs(load.id).values()
    assert store.inputs(train.id) == {"data": data}
    assert [m.value for m in store.metrics(train.id)] == [0.9]
    assert store.logged_parameters(train.id) == {"kernel": "rbf"}
    assert [(s.name, s.status, s.source) for s in store.steps(second.id)] == [
        ("load", ExecutionStatus.CACHED, load.id),
        ("train", ExecutionStatus.FAILED, None),
    ]
    assert [(s.status, s.reason) for s in store.steps(killed.id)] == [
        (ExecutionStatus.CRASHED, None),
        (ExecutionStatus.SKIPPED, "the run crashed"),
    ]
    assert [a.status for a in store.attempts(store.steps(killed.id)[0].id)] == [ExecutionStatus.CRASHED]
    assert set(store.recent_results("digits", "/store")) == {"key of load", "key of train"}

    # It goes on as if it had been made today.
    run = register(store, "today", origin=Origin("resume", killed.id), steps=["load", "train"])
    hit(store, run.step_run_ids["load"], load.id, "key of load")
    complete(store, run.step_run_ids["train"], "new", inputs={"data": data.id})
    finish(store, run)
    assert run.run_id > killed.id
    assert store.previous_step(run.step_run_ids["train"]).run_id == second.id
    assert isinstance(share(store, register(store, "two").step_run_ids["load"]), Claim)


def test_there_is_a_store_of_every_earlier_revision():
    earlier = [script.revision for script in Upgrade(CURRENT, "base")._scripts.walk_revisions()]
    assert sorted(path.stem for path in STORES.glob("*.sql")) == sorted(earlier)[:-1]


def write_store(store: BaseMetadataStore, revision: str) -> None:
    """Put the store of an earlier revision in the place of this one."""
    dump = (STORES / f"{revision}.sql").read_text()
    if isinstance(store, SQLiteMetadataStore):
        Path(store.uri).parent.mkdir()
        with closing(sqlite3.connect(store.uri)) as connection:
            connection.executescript(dump)
        return
    with closing(sqlite3.connect(":memory:")) as source:
        source.row_factory = sqlite3.Row
        source.executescript(dump)
        engine = store._database.engine
        with engine.begin() as connection:
            version.create(connection)
            Upgrade(replace(CURRENT, revision=revision), "base").run(connection)
            connection.execute(version.delete())
            tables = MetaData()
            tables.reflect(connection)
            for table in tables.sorted_tables:
                rows = [dict(row) for row in source.execute(f"SELECT * FROM {table.name}")]  # noqa: S608
                if rows:
                    connection.execute(table.insert(), rows)
                if engine.name == "postgresql" and "id" in table.c:
                    connection.exec_driver_sql(
                        f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), {len(rows) + 1})"
                    )


def test_several_processes_upgrade_once(make_store, next_schema):
    fill(make_store())
    barrier = threading.Barrier(4)
    found: list[object] = []

    def work() -> None:
        store = with_schema(make_store(), next_schema)
        barrier.wait()
        try:
            found.append([run.name for run in store.runs()])
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            found.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["first"]] * 4


def test_a_newer_store_is_refused_by_name(make_store, next_schema):
    fill(with_schema(make_store(), next_schema))
    store = make_store()
    for use in (store.runs, lambda: register(store, "second")):
        with pytest.raises(StoreError) as caught:
            use()
        message = str(caught.value)
        assert f"The metadata store '{store.name}' in the" in message
        assert f"has the schema revision '{LATER}', written by zenml {__version__}" in message
        assert f"this zenml {__version__} knows revisions up to '{PRESENT}'" in message
        assert "Update zenml here" in message
        assert "Nothing was changed" in message
    assert with_schema(make_store(), next_schema).count_runs() == 1


# MariaDB cannot undo changes of a schema: there, the backup is what is left.
@pytest.mark.parametrize("make_store", ["sqlite", "postgresql"], indirect=True)
def test_a_failing_upgrade_leaves_the_store_as_it_was(make_store, next_schema):
    fill(make_store())
    broken = (
        next_schema.migrations / "versions" / f"revision_{LATER}.py"
    ).read_text() + "    op.execute('nonsense')\n"
    (next_schema.migrations / "versions" / f"revision_{LATER}.py").write_text(broken)
    with pytest.raises(StoreError, match="nonsense"):
        with_schema(make_store(), next_schema).runs()
    store = make_store()
    assert [run.name for run in store.runs()] == ["first"]
    assert versions(store) == [(PRESENT, __version__)]


def test_the_revisions_make_the_same_schema(make_store):
    made = make_store()
    register(made)
    described = describe(made)
    with made._database.engine.begin() as connection:
        CURRENT.metadata.drop_all(connection)
        version.create(connection)
        Upgrade(CURRENT, "base").run(connection)
    assert describe(made) == described
    assert len(described) == 11


def describe(store: BaseMetadataStore) -> dict[str, object]:
    inspector = inspect(store._database.engine)

    def by_name(items: list[dict[str, object]]) -> list[str]:
        return sorted(json.dumps(item, sort_keys=True, default=str) for item in items)

    return {
        table: (
            by_name([{**column, "type": str(column["type"])} for column in inspector.get_columns(table)]),
            inspector.get_pk_constraint(table),
            by_name(inspector.get_foreign_keys(table)),
            by_name(inspector.get_unique_constraints(table)),
            by_name(inspector.get_indexes(table)),
            inspector.get_table_options(table),
        )
        for table in inspector.get_table_names()
        if table.startswith("zenml_")
    }


def test_the_present_revision_is_the_last_one():
    upgrade = Upgrade(CURRENT, "base")
    assert upgrade._scripts.get_heads() == [CURRENT.revision]
    assert Upgrade(CURRENT, CURRENT.revision).is_known
    assert not Upgrade(CURRENT, "9999").is_known


def test_a_store_whose_making_was_interrupted_is_completed(make_store):
    store = make_store()
    register(store)
    with store._database.engine.begin() as connection:
        CURRENT.metadata.tables["zenml_metrics"].drop(connection)
        connection.execute(version.delete())
    again = apart(make_store())
    again.log_metrics(next(iter(again.steps(again.runs()[0].id))).id, {"a": 1.0})
    assert versions(again) == [(CURRENT.revision, __version__)]


def test_alembic_is_not_imported_for_a_store_of_the_present_revision(tmp_path):
    code = """
        import sys
        import zenml.metadata_stores
        from zenml.metadata_stores import SQLiteMetadataStore
        store = SQLiteMetadataStore(name="local", uri=sys.argv[1])
        assert store.runs() == []
        assert "alembic" not in sys.modules
        from tests.metadata_stores import register
        register(store)
        assert store.count_runs() == 1
        assert "alembic" not in sys.modules
    """
    root = Path(__file__).parents[2]
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "x.db")], cwd=root, check=True
    )


def test_other_tables_of_the_database_are_left_alone(tmp_path):
    path = tmp_path / "shared.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE runs (mine TEXT)")
        connection.execute("INSERT INTO runs VALUES ('kept')")
        connection.commit()
    fill(SQLiteMetadataStore(name="local", uri=str(path)))
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT mine FROM runs").scalars().all() == ["kept"]
    engine.dispose()
