"""The metadata store in a PostgreSQL database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, SecretStr

from zenml.exceptions import MissingPackageError
from zenml.metadata_stores.sql_metadata_store import SQLMetadataStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from zenml.metadata_stores.database import Database


class PostgreSQLMetadataStore(SQLMetadataStore):
    """Keeps everything in a PostgreSQL database, which must exist; its tables are made at the first use."""

    FLAVOR: ClassVar[str] = "postgresql"

    host: str
    database: str
    port: int = Field(default=5432, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    sslmode: Literal["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    sslrootcert: str | None = None
    """Path of the certificates that the server's is checked against."""
    sslcert: str | None = None
    """Path of the client's certificate."""
    sslkey: str | None = None
    """Path of the key of the client's certificate."""

    def _place(self) -> tuple[Callable[..., Database], dict[str, Any]]:
        try:
            import psycopg  # noqa: F401 - optional
        except ImportError as error:
            raise MissingPackageError(
                f"The metadata store '{self.name}' needs the driver of PostgreSQL (the extra \"postgresql\"): "
                "install it with `pip install 'psycopg[binary]>=3.2'`."
            ) from error
        from sqlalchemy import URL

        from zenml.metadata_stores.database import Database

        certificates = {"sslrootcert": self.sslrootcert, "sslcert": self.sslcert, "sslkey": self.sslkey}
        return Database, {
            "url": URL.create(
                "postgresql+psycopg",
                username=self.username,
                password=self.password.get_secret_value() if self.password else None,
                host=self.host,
                port=self.port,
                database=self.database,
            ),
            "what": f"The metadata store '{self.name}' in the database '{self.database}' at {self.host}:{self.port}",
            "connect_args": (
                ("connect_timeout", 10),
                ("application_name", "zenml"),
                ("sslmode", self.sslmode),
                *((name, path) for name, path in certificates.items() if path),
            ),
        }
