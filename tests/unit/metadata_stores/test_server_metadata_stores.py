"""Stores on a server: how they are configured, and what they say when they cannot be used."""

import os
import sys
import traceback

import pytest

from tests.metadata_stores import register, server_store
from tests.services import free_port
from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, MissingPackageError, SecretError, StoreError
from zenml.metadata_stores import MySQLMetadataStore, PostgreSQLMetadataStore


@pytest.fixture(params=["postgresql_database", "mariadb_database"])
def url(request) -> str:
    return request.getfixturevalue(request.param)


@pytest.fixture(params=[PostgreSQLMetadataStore, MySQLMetadataStore])
def flavor(request):
    return request.param


def test_they_are_reached_over_the_network(flavor):
    store = flavor(name="remote", host="db.example.org", database="metadata")
    assert store.reach is Reach.NETWORK
    assert store.local_path is None


@pytest.mark.parametrize("port", [0, 65536, "none"])
def test_a_port_that_is_none_is_refused(flavor, port):
    with pytest.raises(ConfigurationError, match="port: "):
        flavor(name="remote", host="h", database="d", port=port)


def test_the_password_is_not_shown(url):
    store = server_store(url)
    password = store.password.get_secret_value()
    register(store)
    assert password not in repr(store)
    assert password not in repr(store._database.engine)
    with pytest.raises(SecretError, match="password"):
        store.to_record()


def test_a_wrong_password(url):
    store = server_store(url, password="open-sesame")
    with pytest.raises(StoreError) as caught:
        store.runs()
    message = str(caught.value)
    assert (
        f"The metadata store 'remote' in the database '{store.database}' at {store.host}:{store.port}"
        in message
    )
    assert "Is the server running" in message
    assert "open-sesame" not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_not_there(flavor):
    store = flavor(
        name="remote", host="127.0.0.1", port=free_port(), database="metadata", password="open-sesame"
    )
    with pytest.raises(StoreError) as caught:
        register(store)
    message = str(caught.value)
    assert f"'remote' in the database 'metadata' at 127.0.0.1:{store.port} cannot be used: " in message
    assert "refused" in message
    assert "open-sesame" not in "".join(traceback.format_exception(caught.value))


def test_a_database_that_is_not_there(url):
    with pytest.raises(StoreError, match=r"in the database 'nowhere' at .*nowhere"):
        server_store(url, database="nowhere").runs()


def test_a_missing_driver(flavor, monkeypatch):
    for driver in ("psycopg", "pymysql"):
        monkeypatch.setitem(sys.modules, driver, None)
    store = flavor(name="remote", host="h", database="d")
    with pytest.raises(
        MissingPackageError,
        match=r"'remote' needs the driver .*pip install '(psycopg\[binary\]>=3.2|pymysql>=1.1)'",
    ):
        store.runs()


def test_a_connection_that_the_server_has_closed_is_replaced(url):
    store = server_store(url)
    register(store, "before")
    killer = server_store(url)
    with killer._database.engine.connect() as connection:
        if "postgresql" in url:
            connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        else:
            others = connection.exec_driver_sql(
                "SELECT id FROM information_schema.processlist WHERE id <> connection_id() AND db = database()"
            )
            for (id_,) in others.all():
                connection.exec_driver_sql(f"KILL {id_}")
    register(store, "after")
    assert store.count_runs() == 2


def test_a_forked_process_has_connections_of_its_own(url):
    store = server_store(url)
    register(store, "parent")
    child = os.fork()
    if child == 0:
        try:
            register(store, "child")
            os._exit(0 if store.count_runs() == 2 else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    register(store, "parent again")
    assert [run.name for run in store.runs()] == ["parent", "child", "parent again"]


def test_credentials_may_be_references(url, monkeypatch):
    plain = server_store(url)
    monkeypatch.setenv("DATABASE_PASSWORD", plain.password.get_secret_value())
    store = server_store(url, password="{{env.DATABASE_PASSWORD}}")
    again = type(store).from_record(store.to_record())
    register(again)
    assert plain.count_runs() == 1


def test_a_secret_is_short_for_user_and_password(mariadb_database):
    plain = server_store(mariadb_database)
    store = MySQLMetadataStore(
        name="remote", host=plain.host, port=plain.port, database=plain.database, secret="mysql_login"
    )
    known = {"user": plain.username, "password": plain.password.get_secret_value()}
    bound = type(store).from_record(store.to_record()).bound(lambda name, key: known[key])
    register(bound)
    assert plain.count_runs() == 1


def test_a_secret_and_a_user_are_refused():
    with pytest.raises(ConfigurationError, match="username and secret are given; .* give one of them"):
        MySQLMetadataStore(name="remote", host="h", database="d", secret="s", username="u")
