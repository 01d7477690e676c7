"""Runs that go on from others, results that are being computed, artifacts whose files were deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Add columns, an index and a table."""
    op.add_column("zenml_runs", sa.Column("origin_kind", sa.String(length=16), nullable=True))
    op.add_column("zenml_runs", sa.Column("origin_id", _id, nullable=True))
    op.add_column("zenml_artifacts", sa.Column("removed", sa.Double(), nullable=True))
    running = sa.text("status = 'running'")
    op.create_index(
        op.f("ix_zenml_step_runs_cache_key"),
        "zenml_step_runs",
        ["cache_key"],
        sqlite_where=running,
        postgresql_where=running,
    )
    locks = op.create_table(
        "zenml_locks",
        sa.Column("slot", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("slot", name=op.f("pk_zenml_locks")),
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_bin",
        mysql_engine="InnoDB",
    )
    op.bulk_insert(locks, [{"slot": slot} for slot in range(64)])
