"""Bringing the tables of an earlier revision to the present one, with Alembic."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from zenml.metadata_stores.schema import version

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from zenml.metadata_stores.schema import Schema


class Upgrade:
    """The way from a revision to that of a schema."""

    def __init__(self, schema: Schema, revision: str) -> None:
        self._schema = schema
        self._revision = revision
        self._scripts = ScriptDirectory(str(schema.migrations))

    @property
    def is_known(self) -> bool:
        """Whether the revision is an earlier one, not one of the future."""
        try:
            earlier = self._scripts.iterate_revisions(self._schema.revision, "base")
            return self._revision in [script.revision for script in earlier]
        except CommandError:
            return False

    def run(self, connection: Connection) -> None:
        """Run the revisions between, in the transaction of `connection`."""
        target = self._schema.revision
        environment = EnvironmentContext(
            Config(),
            self._scripts,
            fn=lambda revision, _: self._scripts._upgrade_revs(target, revision),  # noqa: SLF001 - as Alembic's own command does
            destination_rev=target,
        )
        with environment:
            environment.configure(
                connection=connection,
                target_metadata=self._schema.metadata,
                version_table=version.name,
                transactional_ddl=True,
            )
            with environment.begin_transaction():
                environment.run_migrations()
