"""The metadata store in a MySQL or MariaDB database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, SecretStr, model_validator

from zenml.exceptions import MissingPackageError
from zenml.metadata_stores.sql_metadata_store import SQLMetadataStore
from zenml.stack.component import Public

if TYPE_CHECKING:
    from collections.abc import Callable

    from zenml.metadata_stores.database import Database


class MySQLMetadataStore(SQLMetadataStore):
    """Keeps everything in a MySQL or MariaDB database, which must exist; its tables are made at the first use.

    `secret=NAME` is short for `username="{{NAME.user}}", password="{{NAME.password}}"`.
    """

    FLAVOR: ClassVar[str] = "mysql"

    host: str
    database: str
    port: int = Field(default=3306, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    ssl_ca: str | None = None
    """Path of the certificates that the server's is checked against; the connection is encrypted then."""
    ssl_cert: str | None = None
    """Path of the client's certificate."""
    ssl_key: Annotated[str | None, Public()] = None
    """Path of the key of the client's certificate."""
    ssl_verify_server_cert: bool = False
    """Whether the server's certificate must be valid and for `host`."""

    @model_validator(mode="before")
    @classmethod
    def _refer_to_secret(cls, fields: Any) -> Any:
        if not isinstance(fields, dict) or not (secret := fields.get("secret")):
            return fields
        if given := [name for name in ("username", "password") if fields.get(name)]:
            raise ValueError(
                f"{' and '.join(given)} and secret are given; they say the same: give one of them"
            )
        others = {name: value for name, value in fields.items() if name != "secret"}
        return {**others, "username": f"{{{{{secret}.user}}}}", "password": f"{{{{{secret}.password}}}}"}

    def _place(self) -> tuple[Callable[..., Database], dict[str, Any]]:
        try:
            import pymysql  # noqa: F401 - optional
        except ImportError as error:
            raise MissingPackageError(
                f"The metadata store '{self.name}' needs the driver of MySQL and MariaDB (the extra \"mysql\"): "
                "install it with `pip install 'pymysql>=1.1'`."
            ) from error
        from sqlalchemy import URL

        from zenml.metadata_stores.database import Database

        files = {"ssl_ca": self.ssl_ca, "ssl_cert": self.ssl_cert, "ssl_key": self.ssl_key}
        encryption: dict[str, Any] = {name: path for name, path in files.items() if path}
        if self.ssl_verify_server_cert:
            encryption |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
        return Database, {
            "url": URL.create(
                "mysql+pymysql",
                username=self.username,
                password=self.password.get_secret_value() if self.password else None,
                host=self.host,
                port=self.port,
                database=self.database,
            ),
            "what": f"The metadata store '{self.name}' in the database '{self.database}' at {self.host}:{self.port}",
            "connect_args": (("connect_timeout", 10), ("charset", "utf8mb4"), *encryption.items()),
        }
