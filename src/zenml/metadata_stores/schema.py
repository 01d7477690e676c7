"""The tables of a metadata store: one schema for every database.

Times are seconds since the epoch. Owners, parameters, parts of cache keys and manifests are JSON text. What a change of this
module needs besides: a revision in `migrations/versions` that does the same to stores that exist, and its name in `CURRENT`.
Ids of runs, steps and artifacts are never given twice (hence AUTOINCREMENT in SQLite).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = BigInteger().with_variant(Integer(), "sqlite")  # only an INTEGER primary key counts up by itself there
# LONGTEXT in MySQL, without importing all of its dialect for the name.
_Long = Text().with_variant(Text(2**32 - 1), "mysql", "mariadb")
_Name = String(255)
_Digest = String(64)


def _table(name: str, *columns: Any, **options: Any) -> Table:
    table = Table(f"zenml_{name}", metadata, *columns, **options)
    event.listen(table, "before_create", _set_options)
    return table


def _set_options(table: Table, connection: Connection, **_: Any) -> None:
    # Said so late, because an argument of Table or Index would import the whole dialect for SQLite's users too.
    dialect = connection.dialect.name
    if dialect == "mysql":
        # Names that differ in case are different names, in every database.
        table.kwargs.update(mysql_engine="InnoDB", mysql_charset="utf8mb4", mysql_collate="utf8mb4_bin")
    else:
        for index in table.indexes:
            if (condition := index.info.get("where")) is not None:
                index.kwargs[f"{dialect}_where"] = condition


def _error() -> list[Column[Any]]:
    return [
        Column("error_type", _Long),
        Column("error_message", _Long),
        Column("error_traceback", _Long),
    ]


version = _table(
    "metadata_version",
    Column("version_num", String(32), primary_key=True),  # Alembic's name for it
    Column("zenml_version", String(64)),
)

pipelines = _table(
    "pipelines",
    Column("id", _Id, primary_key=True),
    Column("name", _Name, nullable=False),
    UniqueConstraint("name"),
)

runs = _table(
    "runs",
    Column("id", _Id, primary_key=True),
    Column("uuid", String(36), nullable=False),
    Column("pipeline_id", ForeignKey(pipelines.c.id), nullable=False),
    Column("name", _Name, nullable=False),
    Column("status", String(16), nullable=False),
    Column("stack", _Name, nullable=False),
    Column("runtime_configuration", _Long, nullable=False),
    Column("created", Double, nullable=False),
    Column("ended", Double),
    *_error(),
    Column("zenml_version", String(64), nullable=False),
    Column("git_sha", String(64)),
    Column("owner", _Long),
    Column("lease_until", Double),
    Column("cancel_requested", Double),
    Column("origin_kind", String(16)),
    Column("origin_id", _Id),  # no foreign key: the origin may be deleted
    UniqueConstraint("uuid"),
    UniqueConstraint("name"),
    Index(None, "pipeline_id", "id"),
    Index(None, "pipeline_id", "status", "id"),
    Index(None, "status", "id"),
    sqlite_autoincrement=True,
)

# Apart from the runs: a deployment may have megabytes, which lists of runs do not want, and in parts,
# because servers limit what a statement may hold.
deployments = _table(
    "deployments",
    Column("run_id", ForeignKey(runs.c.id), primary_key=True, autoincrement=False),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("document", _Long, nullable=False),
)

step_runs = _table(
    "step_runs",
    Column("id", _Id, primary_key=True),
    Column("run_id", ForeignKey(runs.c.id), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", _Name, nullable=False),
    Column("map_index", Integer, nullable=False),
    Column("entrypoint_name", _Name, nullable=False),
    Column("status", String(16), nullable=False),
    Column("parameters", _Long, nullable=False),
    Column("docstring", _Long),
    Column("cache_key", _Digest),
    Column("key_parts", _Long),  # null for a cached one: its source has the same key
    Column("result_key", _Digest),  # the cache key, once this step run has a result of its own
    Column("source_id", ForeignKey("zenml_step_runs.id")),
    Column("attempts", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    *_error(),
    Column("reason", _Long),
    UniqueConstraint("run_id", "name", "map_index"),
    Index(None, "result_key", "id"),
    Index(None, "source_id"),
    # Who is computing a result at this moment. A few rows, in databases that can leave out the others.
    Index(None, "cache_key", info={"where": text("status = 'running'")}),
    sqlite_autoincrement=True,
)

# In databases where transactions do not wait for each other by themselves, two that start the same computation do so by a row of
# this table.
locks = _table("locks", Column("slot", Integer, primary_key=True, autoincrement=False))
LOCKS = 64


@event.listens_for(locks, "after_create")
def _make_locks(table: Table, connection: Connection, **_: Any) -> None:
    connection.execute(table.insert(), [{"slot": slot} for slot in range(LOCKS)])


attempts = _table(
    "attempts",
    Column("id", _Id, primary_key=True),
    Column("step_run_id", ForeignKey(step_runs.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("token", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("owner", _Long, nullable=False),
    Column("lease_until", Double, nullable=False),
    Column("started", Double, nullable=False),
    Column("ended", Double),
    *_error(),
    UniqueConstraint("step_run_id", "number"),
)

artifacts = _table(
    "artifacts",
    Column("id", _Id, primary_key=True),
    Column("step_run_id", ForeignKey(step_runs.c.id), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", _Name, nullable=False),
    Column("uri", _Long, nullable=False),
    Column("store", _Long, nullable=False),
    Column("artifact_type", _Long, nullable=False),
    Column("data_type", _Long, nullable=False),
    Column("materializer", _Long, nullable=False),
    Column("manifest", _Long, nullable=False),
    Column("digest", _Digest, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("removed", Double),  # when its files were deleted: it is no result any more
    UniqueConstraint("step_run_id", "position"),
    sqlite_autoincrement=True,
)

inputs = _table(
    "inputs",
    Column("step_run_id", ForeignKey(step_runs.c.id), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", _Name, nullable=False),
    Column("artifact_id", ForeignKey(artifacts.c.id), nullable=False),
    Index(None, "artifact_id"),
    sqlite_with_rowid=False,
)

metrics = _table(
    "metrics",
    Column("id", _Id, primary_key=True),
    Column("step_run_id", ForeignKey(step_runs.c.id), nullable=False),
    Column("name", _Name, nullable=False),
    Column("value", Double),  # null where no database agrees on how to write it:
    Column("special", String(4)),  # nan, inf, -inf
    Column("step", BigInteger, nullable=False),
    Column("recorded", Double, nullable=False),
    Index(None, "step_run_id", "id"),
)

logged_parameters = _table(
    "logged_parameters",
    Column("id", _Id, primary_key=True),
    Column("step_run_id", ForeignKey(step_runs.c.id), nullable=False),
    Column("name", _Name, nullable=False),
    Column("value", _Long, nullable=False),
    UniqueConstraint("step_run_id", "name"),
)


@dataclass(frozen=True)
class Schema:
    """The tables at a revision, and the folder of the revisions that led there."""

    metadata: MetaData
    revision: str
    migrations: Path


CURRENT = Schema(metadata, "0002", Path(__file__).parent / "migrations")
