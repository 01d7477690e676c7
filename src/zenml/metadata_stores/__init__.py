"""Metadata stores: where it is remembered what happened."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zenml.metadata_stores.base_metadata_store import BaseMetadataStore

if TYPE_CHECKING:
    from zenml.metadata_stores.mysql_metadata_store import MySQLMetadataStore
    from zenml.metadata_stores.postgresql_metadata_store import PostgreSQLMetadataStore
    from zenml.metadata_stores.sqlite_metadata_store import SQLiteMetadataStore

__all__ = ["BaseMetadataStore", "MySQLMetadataStore", "PostgreSQLMetadataStore", "SQLiteMetadataStore"]

_FLAVORS = {
    "MySQLMetadataStore": "mysql_metadata_store",
    "PostgreSQLMetadataStore": "postgresql_metadata_store",
    "SQLiteMetadataStore": "sqlite_metadata_store",
}


def __getattr__(name: str) -> Any:
    if name in _FLAVORS:
        return getattr(import_module(f"zenml.metadata_stores.{_FLAVORS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
