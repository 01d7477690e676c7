"""The metadata store in a file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import field_validator

from zenml.metadata_stores.sql_metadata_store import SQLMetadataStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from zenml.metadata_stores.database import Database

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")  # two letters at least: "C:/" is a drive


class SQLiteMetadataStore(SQLMetadataStore):
    """Keeps everything in one SQLite file, made at the first write; any number of processes of one machine may use it."""

    FLAVOR: ClassVar[str] = "sqlite"

    uri: str
    """Path of the file."""
    durability: Literal["normal", "full"] = "normal"
    """What is recorded outlives the end of the process, however it ends ("normal"), and also a loss of power ("full")."""

    @field_validator("uri")
    @classmethod
    def _absolute(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("it is empty; expected the path of a file")
        if _REMOTE.match(value):
            raise ValueError(
                f"{value!r} is no path of a file on this machine, and a SQLite store can lie nowhere else; "
                "for a store on a server use the flavor mysql or postgresql"
            )
        return str(Path(value).expanduser().absolute())

    @property
    def local_path(self) -> str:
        """The folder that holds the file."""
        return str(Path(self.uri).parent)

    def _place(self) -> tuple[Callable[..., Database], dict[str, Any]]:
        from zenml.metadata_stores.database import SQLiteDatabase

        return SQLiteDatabase, {
            "path": Path(self.uri),
            "what": f"The metadata store '{self.name}' in the file {self.uri!r}",
            "durable": self.durability == "full",
        }
