"""Whether the database of a metadata store can be used now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.exc import DBAPIError

from zenml.enums import CheckOutcome
from zenml.exceptions import ZenMLBaseException
from zenml.stack.checks import Check, check_clock, check_expiry, check_folder, failure, tried

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from zenml.metadata_stores.database import Database, Transaction

_NOW = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(NOW(6))",
}
_PASSWORD_ENDS = "SELECT extract(epoch FROM rolvaliduntil) FROM pg_roles WHERE rolname = current_user"  # noqa: S105 - a query


class _Undone(Exception):
    """Ends a transaction so that nothing of it stays."""


def check_database(find: Callable[[], Database]) -> Iterator[Check]:
    """Open the database, compare revision and clock, and write in a transaction that is undone. The schema stays as it is."""
    try:
        database = find()
    except ZenMLBaseException as error:
        yield failure("opens", error)
        return
    if not database.exists:
        yield check_folder(str(database.url.database))
        return
    try:
        connection = database.engine.connect()
    except DBAPIError as error:
        yield failure("opens", database.refusal(error.orig))
        return
    with connection:
        try:
            revision, by = database.written(connection)
        except DBAPIError as error:  # a file that is none of SQLite's opens
            yield failure("opens", database.refusal(error.orig))
            return
        yield Check("opens", message=_server(connection))
        schema = _check_schema(database, revision, by)
        yield schema
        yield from _check_server(connection)
    if schema.outcome is CheckOutcome.FAILED:
        return
    yield tried("writes", lambda: _write(database, is_current=revision == database.schema.revision))


def check_certificate(path: str) -> Check:
    """Whether the client's certificate, in PEM, will be valid for a while."""
    from cryptography.x509 import load_pem_x509_certificate

    try:
        certificate = load_pem_x509_certificate(Path(path).expanduser().read_bytes())
    except (OSError, ValueError) as error:
        return failure("certificate", error, f"Is {path!r} the file of a certificate in the format PEM?")
    return check_expiry(certificate.not_valid_after_utc.timestamp(), "certificate")


def _server(connection: Connection) -> str:
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    name = "mariadb" if getattr(connection.dialect, "is_mariadb", False) else connection.dialect.name
    return f"{name} {version}"


def _check_schema(database: Database, revision: str | None, by: str) -> Check:
    if revision == database.schema.revision:
        return Check("schema", message=f"revision {revision}")
    if revision is None:
        return Check("schema", message="there are no tables yet: they are made at the first use")
    from zenml.metadata_stores.upgrade import Upgrade

    if Upgrade(database.schema, revision).is_known:
        return Check(
            "schema",
            CheckOutcome.WARNING,
            f"It has the revision '{revision}'. The first use brings it to '{database.schema.revision}': zenml {by} cannot use it then.",
            "See that whoever shares this store updates zenml, too.",
        )
    return Check(
        "schema",
        CheckOutcome.FAILED,
        f"It has the revision '{revision}', written by zenml {by}, and this one knows '{database.schema.revision}' as the latest.",
        "Update zenml here to that version or a later one, or use another metadata store.",
    )


def _check_server(connection: Connection) -> Iterator[Check]:
    name = connection.dialect.name
    if query := _NOW.get(name):
        before = time.time()
        now = connection.exec_driver_sql(query).scalar_one()
        yield check_clock(float(now), before, time.time())
    if name == "postgresql":
        end = connection.exec_driver_sql(_PASSWORD_ENDS).scalar()
        if end is not None:
            yield check_expiry(float(end))


def _write(database: Database, *, is_current: bool) -> None:
    name = f"zenml_check_{uuid4().hex}"
    if not is_current:  # its tables are made, or changed, at the first use
        table = Table(name, MetaData(), Column("id", Integer))
        try:
            with database.engine.begin() as connection:
                table.create(connection)
                table.drop(connection)
        except DBAPIError as error:
            raise database.refusal(error.orig) from error
        return

    def work(tx: Transaction) -> None:
        tx.insert(database.sql.insert_pipeline, {"name": name})
        raise _Undone

    with suppress(_Undone):
        database.write(work)
