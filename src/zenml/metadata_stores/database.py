"""Connections, transactions and compiled statements: what lies between a metadata store's methods and its database."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

from sqlalchemy import URL, Connection, Engine, Executable, Insert, create_engine, event, inspect, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

from zenml._version import __version__
from zenml.exceptions import StoreError
from zenml.io.mounts import network_file_system
from zenml.liveness.lock import hold, is_held
from zenml.liveness.owner import is_visible
from zenml.metadata_stores import statements
from zenml.metadata_stores.schema import CURRENT, LOCKS, Schema, version

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPIConnection, DBAPICursor, Dialect

    from zenml.model.runs import Owner

T = TypeVar("T")
Row = tuple[Any, ...]

_log = logging.getLogger(__name__)

_PATIENCE = 60.0
"""Seconds for which a transaction is tried again while others are in the way."""
_IN_ONE_LIST = 500  # values in one IN: the limits of the databases lie above


class Transaction:
    """Statements in one transaction. Rows are plain tuples, in the order of the statement's columns."""

    __slots__ = ("_cursor", "_database")

    def __init__(self, database: Database, cursor: DBAPICursor) -> None:
        self._database = database
        self._cursor = cursor

    def run(self, statement: Executable, values: Mapping[str, Any]) -> int:
        """Execute a statement; gives the number of rows that it matched."""
        prepared = self._database.prepare(statement)
        self._cursor.execute(*prepared.bind(values))
        return self._cursor.rowcount

    def run_many(self, statement: Executable, values: Sequence[Mapping[str, Any]]) -> None:
        """Execute a statement for each of `values`."""
        if values:
            prepared = self._database.prepare(statement)
            self._cursor.executemany(prepared.sql, [prepared.bind(v)[1] for v in values])

    def insert(self, statement: Insert, values: Mapping[str, Any]) -> int:
        """Insert a row; gives its id."""
        prepared = self._database.prepare(statement, returning=True)
        self._cursor.execute(*prepared.bind(values))
        # Drivers that cannot tell the id of a new row answer with it.
        return int(self._cursor.fetchall()[0][0] if prepared.returns else self._cursor.lastrowid)

    def rows(self, statement: Executable, values: Mapping[str, Any] = {}) -> Sequence[Row]:
        """All rows of a query."""
        self._cursor.execute(*self._database.prepare(statement).bind(values))
        return self._cursor.fetchall()

    def row(self, statement: Executable, values: Mapping[str, Any] = {}) -> Row | None:
        """The first row of a query."""
        self._cursor.execute(*self._database.prepare(statement).bind(values))
        return self._cursor.fetchone()

    def rows_in(self, statement: Executable, name: str, listed: Iterable[Any]) -> Iterator[Row]:
        """All rows of a query whose parameter `name` stands for a list of values, which may be of any length."""
        values = list(listed)
        for start in range(0, len(values), _IN_ONE_LIST):
            yield from self.rows(statement, {name: values[start : start + _IN_ONE_LIST]})


class _Prepared:
    """A statement compiled for a database."""

    __slots__ = ("_compiled", "_constants", "_keys", "returns", "sql")

    def __init__(self, statement: Executable, dialect: Dialect, *, returns: bool) -> None:
        compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
        assert isinstance(compiled, SQLCompiler)  # noqa: S101 - for the type checker
        self.sql = compiled.string
        self.returns = returns
        self._keys = compiled.positiontup
        self._constants = {name: value for name, value in compiled.params.items() if value is not None}
        # A list has as many placeholders as values: known when they are.
        self._compiled = compiled if compiled.post_compile_params else None

    def bind(self, values: Mapping[str, Any]) -> tuple[str, Any]:
        if self._compiled is not None:
            state = self._compiled.construct_expanded_state({**self._constants, **values})
            return state.statement, state.parameters if self._keys is None else state.positional_parameters
        if self._constants:
            values = {**self._constants, **values}
        return self.sql, values if self._keys is None else tuple([values[key] for key in self._keys])


# By dialect, and whether it returns the id. The statement is kept with it: its id must not become another one's.
_prepared: dict[tuple[str, int, bool], tuple[_Prepared, Executable]] = {}


class Database:
    """A store's database as one process sees it. Its methods may be called from any thread.

    Args:
        url: where it is, with credentials.
        what: the store, as messages name it; without the password.
        connect_args: further arguments of the driver's connect function, with their names.
        schema: what its tables shall be.
    """

    sql = statements

    def __init__(
        self,
        url: str | URL,
        *,
        what: str,
        connect_args: Iterable[tuple[str, Any]] = (),
        schema: Schema = CURRENT,
    ) -> None:
        self.url = make_url(url)
        self.what = what
        self.engine = self._make_engine(dict(connect_args))
        self.unrecorded: dict[
            int, Mapping[str, Any]
        ] = {}  # ends of runs that could not be recorded yet, by run
        self.schema = schema
        self._opening = threading.Lock()
        self._is_open = False
        self._driver: Any = self.engine.dialect.loaded_dbapi
        weakref.finalize(self, _dispose, self.engine, os.getpid())

    # Transactions.

    def write(self, work: Callable[[Transaction], T]) -> T:
        """What `work` gives, in one transaction. It may be called again from the start: it must have no effect elsewhere.

        Raises:
            StoreError: the database cannot be used; nothing is recorded.
        """
        return self._transact(work, writing=True)

    def read(self, work: Callable[[Transaction], T]) -> T:
        """What `work` gives, which only reads. Raises StoreError."""
        return self._transact(work, writing=False)

    def prepare(self, statement: Executable, *, returning: bool = False) -> _Prepared:
        """The statement, compiled once."""
        key = (self.engine.dialect.name, id(statement), returning)
        try:
            return _prepared[key][0]
        except KeyError:
            returns = returning and self.engine.dialect.name == "postgresql"
            complete = statement.returning(statement.table.c.id) if returns else statement  # type: ignore[attr-defined]
            prepared = _Prepared(complete, self.engine.dialect, returns=returns)
            _prepared[key] = (prepared, statement)
            return prepared

    def hold(self, owner: Owner) -> None:
        """Show others that the owner lives, as long as this process does, where that can be shown without renewing a lease."""

    def is_held(self, owner: Owner | None) -> bool:
        """Whether the owner is known to live, whatever its lease says."""
        return False

    def lock(self, tx: Transaction, name: str) -> None:
        """Wait until no other transaction holds the lock of that name; it is held until this one ends."""
        tx.rows(statements.lock, {"slot": crc32(name.encode()) % LOCKS})

    def _transact(self, work: Callable[[Transaction], T], *, writing: bool) -> T:
        started = time.monotonic()
        attempt = 0
        while True:
            try:
                if not self._is_ready():
                    self._open()
                return self._once(work, writing=writing)
            except (self._driver.Error, DBAPIError) as caught:
                error = caught.orig if isinstance(caught, DBAPIError) else caught
                attempt += 1
                late = time.monotonic() - started > _PATIENCE
                if late or not self._worth_another_try(error, attempt):
                    raise self.refusal(error) from caught
                time.sleep(min(0.002 * 2**attempt, 0.1))

    def _once(self, work: Callable[[Transaction], T], *, writing: bool) -> T:
        connection = self.engine.raw_connection()
        try:
            cursor = connection.cursor()
            try:
                self._begin(cursor, writing=writing)
                result = work(Transaction(self, cursor))
            finally:
                cursor.close()
            connection.commit()
            return result
        except self._driver.OperationalError as error:
            if self.engine.dialect.name != "sqlite":
                connection.invalidate(error)  # whether it still works is not known
            raise
        finally:
            connection.close()  # gives it back to the pool, which rolls back what is not committed

    # What differs between databases.

    def _make_engine(self, connect_args: dict[str, Any]) -> Engine:
        return create_engine(
            self.url,
            connect_args=connect_args,
            hide_parameters=True,
            isolation_level="READ COMMITTED",
            pool_pre_ping=True,  # a step may train for longer than a server keeps a silent connection
            pool_use_lifo=True,
            max_overflow=-1,
        )

    def _is_ready(self) -> bool:
        """Whether the database is open, with the schema that it shall have."""
        return self._is_open

    def _begin(self, cursor: DBAPICursor, *, writing: bool) -> None:
        """Begin the transaction, where the driver does not."""

    def _worth_another_try(self, error: BaseException | None, attempt: int) -> bool:
        # Two that insert the same name at once: the second one finds it in its second try.
        if isinstance(error, self._driver.IntegrityError):
            return attempt == 1
        state = getattr(error, "sqlstate", None)
        code = error.args[0] if error is not None and error.args else None
        # Deadlock, serialization, waiting for a lock; MySQL's numbers for the same.
        return _is_crowded(error) or state in ("40001", "40P01", "55P03") or code in (1205, 1213)

    def refusal(self, error: BaseException | None) -> StoreError:
        """The error for the user, without the password."""
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        if password := str(self.url.password or ""):
            reason = reason.replace(password, "***")
        return StoreError(f"{self.what} cannot be used: {reason}. {self._advice(error)}")

    def _advice(self, error: BaseException | None) -> str:
        if _is_crowded(error):
            return (
                "Each step that runs keeps a connection: let fewer run at once, or let the server take more (max_connections). "
                f"One was waited for {_PATIENCE:.0f} seconds."
            )
        if not isinstance(error, self._driver.OperationalError):
            return "Nothing of it was recorded."
        return (
            "Is the server running, and are its address, the user name, the password and the database right?"
        )

    @contextmanager
    def _exclusive(self) -> Iterator[Connection]:
        """A transaction that no other process holds at the same time, for changes of the schema."""
        with self.engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('zenml_metadata_version'))")
                yield connection
                return
            if not connection.exec_driver_sql("SELECT GET_LOCK('zenml_metadata_version', 300)").scalar():
                raise StoreError(
                    f"{self.what} is being upgraded by another process: try again when it is done."
                )
            try:
                yield connection
            finally:
                connection.exec_driver_sql("SELECT RELEASE_LOCK('zenml_metadata_version')")

    # The schema.

    @property
    def exists(self) -> bool:
        """Whether there is anything to read."""
        return True

    def _open(self) -> None:
        with self._opening:
            if self._is_open:
                return
            if self._present() != self.schema.revision:
                with self._exclusive() as connection:
                    self._bring_up(connection)
            self._is_open = True

    def _present(self) -> str | None:
        with self.engine.connect() as connection:
            return self.written(connection)[0]

    def written(self, connection: Connection) -> tuple[str | None, str]:
        """The revision that the database has, and the version of zenml that brought it there."""
        if not inspect(connection).has_table(version.name):
            return None, ""
        row = connection.execute(statements.version_row).first()
        return (row[0], row[1] or "of unknown version") if row else (None, "")

    def _bring_up(self, connection: Connection) -> None:
        revision, by = self.written(connection)
        if revision is None:
            self.schema.metadata.create_all(connection)
            row = {"version_num": self.schema.revision, "zenml_version": __version__}
            connection.execute(statements.insert_version, row)
        elif revision != self.schema.revision:
            from zenml.metadata_stores.upgrade import Upgrade

            upgrade = Upgrade(self.schema, revision)
            if not upgrade.is_known:
                raise StoreError(
                    f"{self.what} has the schema revision '{revision}', written by zenml {by}; this zenml {__version__} "
                    f"knows revisions up to '{self.schema.revision}'. Update zenml here to that version or a later one, or use another "
                    "metadata store. Nothing was changed."
                )
            backup = self._back_up(connection, revision)
            _log.warning(
                "%s is brought from the schema revision '%s' to '%s'; what it held before is kept in %s.",
                self.what,
                revision,
                self.schema.revision,
                backup,
            )
            upgrade.run(connection)
            connection.execute(statements.update_version, {"zenml_version": __version__})

    def _back_up(self, connection: Connection, revision: str) -> str:
        """Copy what the database holds to where an upgrade does not touch it; says where that is."""
        prefix = f"backup_{revision}_"
        quote = connection.dialect.identifier_preparer.quote
        for table in inspect(connection).get_table_names():
            if table.startswith("zenml_") and table in self.schema.metadata.tables:
                connection.exec_driver_sql(f"DROP TABLE IF EXISTS {quote(prefix + table)}")
                copy = f"CREATE TABLE {quote(prefix + table)} AS SELECT * FROM {quote(table)}"  # noqa: S608 - names of our own
                connection.exec_driver_sql(copy)
        return f"the tables '{prefix}...' of the same database"


class SQLiteDatabase(Database):
    """A database in a file. Writers of one process wait for each other here; those of others in SQLite.

    Args:
        path: the file.
        what: the store, as messages name it.
        durable: whether a transaction shall outlive a loss of power, besides the end of the process.
        schema: what its tables shall be.
    """

    def __init__(self, path: Path, *, what: str, durable: bool = False, schema: Schema = CURRENT) -> None:
        self._path = path
        self._owners = path.with_name(f"{path.name}-owners")
        self._durable = durable
        self._network: str | None = None
        self._file: tuple[int, int] | None = None
        self._writer = threading.Lock()
        super().__init__(URL.create("sqlite", database=str(path)), what=what, schema=schema)

    def _make_engine(self, connect_args: dict[str, Any]) -> Engine:
        engine = create_engine(
            self.url,
            connect_args={
                "timeout": _PATIENCE / 2,
                "isolation_level": None,
                "check_same_thread": False,
                "cached_statements": 256,
                **connect_args,
            },
            hide_parameters=True,
            pool_use_lifo=True,
            max_overflow=-1,
        )
        # A reference proper would be kept by the engine, which is disposed when this object is gone.
        method = weakref.WeakMethod(self._configure)

        def connected(connection: DBAPIConnection, _: object) -> None:
            if (configure := method()) is not None:
                configure(connection)

        event.listen(engine, "connect", connected)
        return engine

    def _configure(self, connection: DBAPIConnection) -> None:
        # Without a log that is written ahead, less could break the file.
        full = self._durable or self._network
        connection.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
        connection.execute("PRAGMA foreign_keys=ON")

    def _once(self, work: Callable[[Transaction], T], *, writing: bool) -> T:
        if not writing:
            return super()._once(work, writing=False)
        with self._writer:
            return super()._once(work, writing=True)

    def _begin(self, cursor: DBAPICursor, *, writing: bool) -> None:
        cursor.execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    def hold(self, owner: Owner) -> None:
        """Lock a byte of a file beside this one: the processes that read this one can tell, in other containers too."""
        if owner.kind == "process" and owner.pid == os.getpid():
            hold(self._owners, owner)

    def is_held(self, owner: Owner | None) -> bool:
        """Whether such a lock is held by a process that cannot be seen from here."""
        return (
            owner is not None
            and owner.kind == "process"
            and not is_visible(owner)
            and is_held(self._owners, owner)
        )

    def lock(self, tx: Transaction, name: str) -> None:
        """Nothing to wait for: there is one writing transaction at a time."""

    def _worth_another_try(self, error: BaseException | None, attempt: int) -> bool:
        return "locked" in str(error) or "busy" in str(error)

    def _advice(self, error: BaseException | None) -> str:
        text = str(error)
        folder = self._path.parent
        if "readonly" in text or "unable to open" in text:
            return f"May you write in the folder {str(folder)!r}? SQLite needs that also to read."
        if "full" in text or "disk I/O" in text:
            return f"Is there room left on the disk that holds {str(folder)!r}? What was recorded before is kept."
        if "locked" in text:
            return f"Another process has kept it locked for {_PATIENCE:.0f} seconds: end it, and try again."
        if "not a database" in text or "malformed" in text:
            return "Restore it from a backup, or move it away: a new one is made then."
        return "Nothing of it was recorded."

    @property
    def exists(self) -> bool:
        """Whether the file is there: it is made at the first write."""
        try:
            os.stat(self._path)  # noqa: PTH116 - faster, and it tells a missing file from one out of reach
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # opening it says what is wrong
        return True

    def _is_ready(self) -> bool:
        if self._is_open and self._file is not None and self._identity() != self._file:
            # Somebody has removed or replaced the file: what we wrote into the old one would be lost.
            self._is_open = False
            self.engine.dispose()
        return self._is_open

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116 - in every transaction, and this is faster
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self.what} cannot be made: {error.strerror or error}: {str(error.filename)!r}. May you write there?"
            ) from error
        self._network = network_file_system(self._path)
        if self._network:
            self._leave_wal()
        super()._open()
        self._file = self._identity()

    def _leave_wal(self) -> None:
        """A log that is written ahead needs memory that all of its users share: those of one machine only."""
        with self.engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
        _log.warning(
            "%s lies on a network file system (%s). What is recorded there is kept, but SQLite relies on locks that not every such "
            "file system has: let the processes of one machine at a time use it, or keep it on a local disk; for several machines, "
            "use the flavor postgresql or mysql.",
            self.what,
            self._network,
        )

    @contextmanager
    def _exclusive(self) -> Iterator[Connection]:
        with self.engine.connect() as connection:
            # Once in a file's life: the mode is a property of the file.
            connection.exec_driver_sql(f"PRAGMA journal_mode={'DELETE' if self._network else 'WAL'}")
            # A revision may replace a table that others refer to.
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                yield connection
                connection.commit()
            finally:
                connection.rollback()
                connection.exec_driver_sql("PRAGMA foreign_keys=ON")

    def _back_up(self, connection: Connection, revision: str) -> str:
        path = self._path.with_name(f"{self._path.name}.{revision}-{time.strftime('%Y%m%d-%H%M%S')}.backup")
        with closing(sqlite3.connect(self._path)) as source, closing(sqlite3.connect(path)) as target:
            source.backup(target)
        return f"the file {str(path)!r}"


@lru_cache(maxsize=4)
def shared(pid: int, kind: Callable[..., Database], **place: Any) -> Database:  # noqa: ARG001 - connections do not survive a fork
    """The database at that place in the process `pid`: the last few are kept open, for a run is often followed by another."""
    return kind(**place)


def _is_crowded(error: BaseException | None) -> bool:
    """Whether a server has no connection left. PostgreSQL's driver has no number for what it says so early."""
    return any(
        said in str(error)
        for said in ("too many clients", "oo many connections", "connection slots are reserved")
    )


def _dispose(engine: Engine, pid: int) -> None:
    # The connections of a parent process are not this one's to close.
    engine.dispose(close=os.getpid() == pid)
