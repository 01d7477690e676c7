"""A database server that has no connection left, for a while or for good."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import make_url

from tests.metadata_stores import server_store
from zenml.exceptions import StoreError
from zenml.metadata_stores import BaseMetadataStore

USER, PASSWORD = "guest", "guest-of-a-test"


@pytest.fixture
def taken(postgresql_database: str) -> Iterator[tuple[BaseMetadataStore, ExitStack]]:
    """A store whose user may have one connection, and that connection, which others hold."""
    parts = make_url(postgresql_database)
    address = {"host": parts.host, "port": parts.port, "dbname": parts.database}
    with psycopg.connect(user=parts.username, password=parts.password, autocommit=True, **address) as admin:
        admin.execute(f"DROP ROLE IF EXISTS {USER}")
        admin.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}' CONNECTION LIMIT 1")
        admin.execute(f"GRANT ALL ON SCHEMA public TO {USER}")
        with ExitStack() as held:
            held.enter_context(psycopg.connect(user=USER, password=PASSWORD, **address))
            store = server_store(postgresql_database, username=USER, password=PASSWORD)
            yield store, held
        store._database.engine.dispose()
        admin.execute(f"DROP OWNED BY {USER}")
        admin.execute(f"DROP ROLE {USER}")


def test_a_connection_is_waited_for(taken: tuple[BaseMetadataStore, ExitStack]) -> None:
    store, held = taken
    counts: list[int] = []
    asking = threading.Thread(target=lambda: counts.append(store.count_runs()))
    asking.start()
    asking.join(0.5)
    assert not counts
    held.close()
    asking.join(30)
    assert counts == [0]


def test_who_has_waited_long_enough_is_told_what_to_do(
    taken: tuple[BaseMetadataStore, ExitStack], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenml.metadata_stores.database._PATIENCE", 0.2)
    store, _ = taken
    with pytest.raises(StoreError) as caught:
        store.count_runs()
    assert "too many connections for role" in str(caught.value)
    assert "let fewer run at once, or let the server take more (max_connections)" in str(caught.value)
    assert PASSWORD not in str(caught.value)
