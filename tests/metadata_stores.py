"""Stores over each database, and short ways to write into them."""

import os
from typing import Any, TypeVar

from sqlalchemy import make_url

from zenml.metadata_stores import BaseMetadataStore, MySQLMetadataStore, PostgreSQLMetadataStore
from zenml.testing.conformance.recording import (
    DEAD,
    OWNER,
    artifact,
    complete,
    draft,
    finish,
    hit,
    instances,
    key,
    register,
    share,
    start,
)

__all__ = [
    "DEAD",
    "OWNER",
    "apart",
    "artifact",
    "complete",
    "draft",
    "finish",
    "hit",
    "instances",
    "key",
    "register",
    "server_store",
    "share",
    "start",
]

StoreT = TypeVar("StoreT", bound=BaseMetadataStore)


def server_store(url: str, **changes: Any) -> BaseMetadataStore:
    parts = make_url(url)
    class_ = PostgreSQLMetadataStore if parts.drivername.startswith("postgresql") else MySQLMetadataStore
    fields = {
        "name": "remote",
        "host": parts.host,
        "port": parts.port,
        "username": parts.username,
        "password": parts.password,
        "database": parts.database,
    }
    return class_(**{**fields, **changes})


def apart(store: StoreT, **options: Any) -> StoreT:
    """The same store over connections of its own; `options` are further arguments of its `Database`."""
    copy = type(store)(**{name: getattr(store, name) for name in type(store).model_fields})
    kind, place = store._place()
    copy._databases[os.getpid()] = kind(**place, **options)
    return copy
