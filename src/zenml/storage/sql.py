"""Documents in a database: SQLite, PostgreSQL, MySQL or MariaDB."""

from __future__ import annotations

import importlib.util
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateTable

from zenml.exceptions import ConfigurationError, MissingPackageError, StoreError, sentence
from zenml.storage.collection import Backend, Session
from zenml.storage.files import make_folder
from zenml.storage.memory import DocumentSession
from zenml.storage.urls import masked

if TYPE_CHECKING:
    from zenml.model.json import Document

_VERSION = 1
_PATIENCE_SECONDS = 60
_CONNECT_SECONDS = 10
_CREATION_LOCK = 0x7A656E6D6C  # any number: PostgreSQL names advisory locks so

# Names differ in case and accents where the text does; MySQL's default collation would take them for equal.
_MYSQL: dict[str, Any] = {
    "mysql_engine": "InnoDB",
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
}
_metadata = sa.MetaData()
_schema = sa.Table(
    "zenml_schema",
    _metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", sa.Integer, nullable=False),
    **_MYSQL,
)
_documents = sa.Table(
    "zenml_document",
    _metadata,
    sa.Column("kind", sa.String(50), primary_key=True),
    sa.Column("key", sa.String(255), primary_key=True),
    sa.Column("document", sa.JSON, nullable=False),
    **_MYSQL,
)

# The driver that is used when a URL names none, and how it is installed.
_DRIVERS = {
    "postgresql": ("psycopg", "psycopg[binary]>=3.2"),
    "mysql": ("pymysql", "pymysql>=1.1"),
    "sqlite": ("pysqlite", ""),
}


class SQLBackend(Backend):
    """Documents in one table of the database at `url`, which is an SQLAlchemy URL.

    Tables are made by the first transaction that writes. Upgrades: as there is one table of documents whose records keep what
    they do not know, a change of the table itself would be a statement run under the writers' lock, by the version in `zenml_schema`.

    No connection is kept between transactions: a notebook that sits idle holds none, and a fork shares none.

    Raises:
        ConfigurationError: the URL cannot be one, or its database is of another kind.
        MissingPackageError: the database's driver is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = checked_url(url)
        options: dict[str, Any] = {}
        if self._is_sqlite:
            options = {"timeout": _PATIENCE_SECONDS, "isolation_level": None}
        elif "connect_timeout" not in self._url.query and self._url.get_driver_name() in (
            "psycopg",
            "pymysql",
        ):
            options = {"connect_timeout": _CONNECT_SECONDS}
        self._engine = sa.create_engine(
            self._url, poolclass=NullPool, connect_args=options, hide_parameters=True
        )
        self._is_made = False
        self._is_complete = False
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", _use_write_ahead_log)
            sa.event.listen(self._engine, "begin", _begin)

    @contextmanager
    def transaction(self, *, write: bool) -> Iterator[Session]:
        with self._translated():
            if not write and not self.exists():
                yield DocumentSession({})
                return
            if write and not self._is_complete:
                self._make()
            with self._begun(write=write) as connection:
                self._check_version(connection, write=write)
                yield _SQLSession(connection, self)

    def exists(self) -> bool:
        if self._is_made:
            return True
        if self._is_sqlite and not Path(self._url.database or "").exists():
            return False  # connecting would make the file
        with self._translated(), self._engine.connect() as connection:
            self._is_made = sa.inspect(connection).has_table(_schema.name)
        return self._is_made

    def __repr__(self) -> str:
        return f"SQLBackend({self.masked_url!r})"

    @property
    def masked_url(self) -> str:
        """The URL without its password."""
        return masked(self._url.render_as_string(hide_password=False))

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    @contextmanager
    def _begun(self, *, write: bool) -> Iterator[sa.Connection]:
        options: dict[str, Any] = {"zenml_write": write}
        if not self._is_sqlite:
            # Writers wait for each other at a locked row and then see what the one before has committed.
            options = {"isolation_level": "READ COMMITTED" if write else "REPEATABLE READ"}
        with self._engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def _make(self) -> None:
        if self._is_sqlite:
            make_folder(Path(str(self._url.database)).parent)
        with self._engine.connect() as connection:
            names = sa.inspect(connection).get_table_names()
            self._is_complete = {_schema.name, _documents.name} <= set(names) and self._version(
                connection
            ) is not None
        if self._is_complete:
            return  # who may not make tables can still use them
        # Several processes may come here at once, and MySQL's DDL ends transactions: so this is one of its own.
        with self._begun(write=True) as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_CREATION_LOCK)))
            for table in _metadata.sorted_tables:
                connection.execute(CreateTable(table, if_not_exists=True))
            if self._version(connection) is None:
                connection.execute(
                    _schema.insert().prefix_with("IGNORE", dialect="mysql").values(id=1, version=_VERSION)
                )
        self._is_made = self._is_complete = True

    def _check_version(self, connection: sa.Connection, *, write: bool) -> None:
        # SQLite ignores FOR UPDATE: its transaction is the only writing one from its begin.
        version = self._version(connection, lock=write)
        if version is not None and version > _VERSION:
            raise StoreError(
                f"The database {self.masked_url} was written by a newer version (schema {version}; this one reads up to {_VERSION}): "
                "update to that version, or use another profile."
            )

    def _version(self, connection: sa.Connection, *, lock: bool = False) -> int | None:
        query = sa.select(_schema.c.version)
        return connection.execute(query.with_for_update() if lock else query).scalar_one_or_none()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            self._is_made = self._is_complete = False
            reason = " ".join(str(getattr(error, "orig", None) or error).split())
            if self._url.password:
                reason = reason.replace(str(self._url.password), "***")
            check = (
                "Is there space, and may you write to its folder?"
                if self._url.get_backend_name() == "sqlite"
                else "Does it run, and are address, user and password right?"
            )
            raise StoreError(
                f"The database {self.masked_url} cannot be used: {sentence(reason)} {check}"
            ) from None


def checked_url(url: str) -> sa.URL:
    """The URL of a database that profiles can be kept in, with its driver.

    Raises:
        ConfigurationError: it is no URL, or one of another kind of database.
        MissingPackageError: the driver is not installed.
    """
    expected = "expected an SQLAlchemy URL of SQLite, PostgreSQL, MySQL or MariaDB, such as postgresql://user@host/database"
    try:
        parsed = sa.make_url(url)
    except ArgumentError:
        scheme = url.partition("://")[0] if "://" in url else "a text without '://'"
        raise ConfigurationError(f"The URL ({scheme!r}) is none of a database: {expected}.") from None
    backend, _, driver = parsed.drivername.partition("+")
    backend = "mysql" if backend == "mariadb" else backend
    if backend not in _DRIVERS:
        raise ConfigurationError(f"The database {backend!r} cannot keep profiles: {expected}.")
    default, requirement = _DRIVERS[backend]
    parsed = parsed.set(drivername=f"{backend}+{driver or default}")
    try:
        parsed.get_dialect()
    except NoSuchModuleError:
        raise ConfigurationError(
            f"There is no driver {driver!r} for {backend}: leave it out to use {default!r}."
        ) from None
    driver = driver or default
    if backend != "sqlite" and importlib.util.find_spec(driver) is None:
        wanted = requirement if driver == default else driver
        raise MissingPackageError(
            f"The driver {driver!r} for {backend} is not installed: run `pip install '{wanted}'`."
        )
    return parsed


class _SQLSession:
    def __init__(self, connection: sa.Connection, backend: SQLBackend) -> None:
        self._connection = connection
        self._backend = backend

    def get(self, kind: str, key: str) -> Document | None:
        c = _documents.c
        found: Document | None = self._connection.execute(
            sa.select(c.document).where(c.kind == kind, c.key == key)
        ).scalar_one_or_none()
        return found

    def list(self, kind: str) -> dict[str, Document]:
        c = _documents.c
        rows = self._connection.execute(sa.select(c.key, c.document).where(c.kind == kind))
        # Sorted here: databases sort by their own collations.
        return dict(sorted((key, document) for key, document in rows))

    def put(self, kind: str, key: str, document: dict[str, Any]) -> None:
        c = _documents.c
        if self.get(kind, key) is None:
            self._connection.execute(_documents.insert().values(kind=kind, key=key, document=document))
        else:
            self._connection.execute(
                _documents.update().where(c.kind == kind, c.key == key).values(document=document)
            )

    def delete(self, kind: str, key: str) -> None:
        c = _documents.c
        self._connection.execute(_documents.delete().where(c.kind == kind, c.key == key))

    def where(self, kind: str, key: str) -> str:
        return f"{self._backend.masked_url}, table {_documents.name}, {kind} {key!r}"


def _use_write_ahead_log(connection: Any, _: Any) -> None:
    # While another connection uses the file this fails; then a later one does it.
    with suppress(sqlite3.OperationalError):
        connection.execute("PRAGMA journal_mode=WAL")


def _begin(connection: sa.Connection) -> None:
    write = connection.get_execution_options().get("zenml_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
