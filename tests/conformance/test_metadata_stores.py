"""Our metadata stores pass the suite: SQLite, PostgreSQL and MariaDB."""

import pytest

from tests.metadata_stores import apart, artifact, complete, finish, register, server_store
from zenml.metadata_stores import BaseMetadataStore, SQLiteMetadataStore
from zenml.testing.conformance import MetadataStoreConformance


class Ours(MetadataStoreConformance):
    @pytest.fixture
    def reopen(self, store):
        return lambda: apart(store)

    def test_artifacts_whose_files_were_deleted_are_no_results(self, store):
        run = register(store)
        complete(store, run.step_run_ids["load"], artifacts=[artifact("a"), artifact("b")])
        finish(store, run)
        database = store._database
        with database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE zenml_artifacts SET removed = 1.5 WHERE name = 'b'")
        assert store.find_results(["k"], "/store") == {}
        assert store.recent_results("digits", "/store") == {}
        assert store.results_of_run(run.run_id, "/store") == {}
        assert list(store.outputs(run.step_run_ids["load"])) == ["a", "b"]


class TestSQLite(Ours):
    @pytest.fixture
    def store(self, tmp_path) -> BaseMetadataStore:
        return SQLiteMetadataStore(name="local", uri=str(tmp_path / "metadata.db"))


class TestPostgreSQL(Ours):
    examples = 12

    @pytest.fixture
    def store(self, postgresql_database) -> BaseMetadataStore:
        return server_store(postgresql_database)


class TestMariaDB(Ours):
    examples = 12

    @pytest.fixture
    def store(self, mariadb_database) -> BaseMetadataStore:
        return server_store(mariadb_database)
