"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_long = sa.Text().with_variant(sa.Text(2**32 - 1), "mysql", "mariadb")
_mysql: dict[str, Any] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_bin",
    "mysql_engine": "InnoDB",
}


def upgrade() -> None:
    """Make the tables; that of the version is there before."""
    op.create_table(
        "zenml_pipelines",
        sa.Column("id", _id, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_pipelines")),
        sa.UniqueConstraint("name", name=op.f("uq_zenml_pipelines_name")),
        **_mysql,
    )
    op.create_table(
        "zenml_runs",
        sa.Column("id", _id, nullable=False),
        sa.Column("uuid", sa.String(length=36), nullable=False),
        sa.Column("pipeline_id", _id, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stack", sa.String(length=255), nullable=False),
        sa.Column("runtime_configuration", _long, nullable=False),
        sa.Column("created", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("error_type", _long, nullable=True),
        sa.Column("error_message", _long, nullable=True),
        sa.Column("error_traceback", _long, nullable=True),
        sa.Column("zenml_version", sa.String(length=64), nullable=False),
        sa.Column("git_sha", sa.String(length=64), nullable=True),
        sa.Column("owner", _long, nullable=True),
        sa.Column("lease_until", sa.Double(), nullable=True),
        sa.Column("cancel_requested", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["pipeline_id"], ["zenml_pipelines.id"], name=op.f("fk_zenml_runs_pipeline_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_runs")),
        sa.UniqueConstraint("name", name=op.f("uq_zenml_runs_name")),
        sa.UniqueConstraint("uuid", name=op.f("uq_zenml_runs_uuid")),
        sqlite_autoincrement=True,
        **_mysql,
    )
    op.create_index(op.f("ix_zenml_runs_pipeline_id_id"), "zenml_runs", ["pipeline_id", "id"])
    op.create_index(
        op.f("ix_zenml_runs_pipeline_id_status_id"), "zenml_runs", ["pipeline_id", "status", "id"]
    )
    op.create_index(op.f("ix_zenml_runs_status_id"), "zenml_runs", ["status", "id"])
    op.create_table(
        "zenml_deployments",
        sa.Column("run_id", _id, autoincrement=False, nullable=False),
        sa.Column("part", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("document", _long, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["zenml_runs.id"], name=op.f("fk_zenml_deployments_run_id")),
        sa.PrimaryKeyConstraint("run_id", "part", name=op.f("pk_zenml_deployments")),
        **_mysql,
    )
    op.create_table(
        "zenml_step_runs",
        sa.Column("id", _id, nullable=False),
        sa.Column("run_id", _id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("entrypoint_name", sa.String(length=255), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("parameters", _long, nullable=False),
        sa.Column("docstring", _long, nullable=True),
        sa.Column("cache_key", sa.String(length=64), nullable=True),
        sa.Column("key_parts", _long, nullable=True),
        sa.Column("result_key", sa.String(length=64), nullable=True),
        sa.Column("source_id", _id, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("started", sa.Double(), nullable=True),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("error_type", _long, nullable=True),
        sa.Column("error_message", _long, nullable=True),
        sa.Column("error_traceback", _long, nullable=True),
        sa.Column("reason", _long, nullable=True),
        sa.ForeignKeyConstraint(["run_id"], ["zenml_runs.id"], name=op.f("fk_zenml_step_runs_run_id")),
        sa.ForeignKeyConstraint(
            ["source_id"], ["zenml_step_runs.id"], name=op.f("fk_zenml_step_runs_source_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_step_runs")),
        sa.UniqueConstraint(
            "run_id", "name", "map_index", name=op.f("uq_zenml_step_runs_run_id_name_map_index")
        ),
        sqlite_autoincrement=True,
        **_mysql,
    )
    op.create_index(op.f("ix_zenml_step_runs_result_key_id"), "zenml_step_runs", ["result_key", "id"])
    op.create_index(op.f("ix_zenml_step_runs_source_id"), "zenml_step_runs", ["source_id"])
    op.create_table(
        "zenml_artifacts",
        sa.Column("id", _id, nullable=False),
        sa.Column("step_run_id", _id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("uri", _long, nullable=False),
        sa.Column("store", _long, nullable=False),
        sa.Column("artifact_type", _long, nullable=False),
        sa.Column("data_type", _long, nullable=False),
        sa.Column("materializer", _long, nullable=False),
        sa.Column("manifest", _long, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["step_run_id"], ["zenml_step_runs.id"], name=op.f("fk_zenml_artifacts_step_run_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_artifacts")),
        sa.UniqueConstraint("step_run_id", "position", name=op.f("uq_zenml_artifacts_step_run_id_position")),
        sqlite_autoincrement=True,
        **_mysql,
    )
    op.create_table(
        "zenml_attempts",
        sa.Column("id", _id, nullable=False),
        sa.Column("step_run_id", _id, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("owner", _long, nullable=False),
        sa.Column("lease_until", sa.Double(), nullable=False),
        sa.Column("started", sa.Double(), nullable=False),
        sa.Column("ended", sa.Double(), nullable=True),
        sa.Column("error_type", _long, nullable=True),
        sa.Column("error_message", _long, nullable=True),
        sa.Column("error_traceback", _long, nullable=True),
        sa.ForeignKeyConstraint(
            ["step_run_id"], ["zenml_step_runs.id"], name=op.f("fk_zenml_attempts_step_run_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_attempts")),
        sa.UniqueConstraint("step_run_id", "number", name=op.f("uq_zenml_attempts_step_run_id_number")),
        **_mysql,
    )
    op.create_table(
        "zenml_logged_parameters",
        sa.Column("id", _id, nullable=False),
        sa.Column("step_run_id", _id, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", _long, nullable=False),
        sa.ForeignKeyConstraint(
            ["step_run_id"], ["zenml_step_runs.id"], name=op.f("fk_zenml_logged_parameters_step_run_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_logged_parameters")),
        sa.UniqueConstraint("step_run_id", "name", name=op.f("uq_zenml_logged_parameters_step_run_id_name")),
        **_mysql,
    )
    op.create_table(
        "zenml_metrics",
        sa.Column("id", _id, nullable=False),
        sa.Column("step_run_id", _id, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("value", sa.Double(), nullable=True),
        sa.Column("special", sa.String(length=4), nullable=True),
        sa.Column("step", sa.BigInteger(), nullable=False),
        sa.Column("recorded", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["step_run_id"], ["zenml_step_runs.id"], name=op.f("fk_zenml_metrics_step_run_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_zenml_metrics")),
        **_mysql,
    )
    op.create_index(op.f("ix_zenml_metrics_step_run_id_id"), "zenml_metrics", ["step_run_id", "id"])
    op.create_table(
        "zenml_inputs",
        sa.Column("step_run_id", _id, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("artifact_id", _id, nullable=False),
        sa.ForeignKeyConstraint(
            ["artifact_id"], ["zenml_artifacts.id"], name=op.f("fk_zenml_inputs_artifact_id")
        ),
        sa.ForeignKeyConstraint(
            ["step_run_id"], ["zenml_step_runs.id"], name=op.f("fk_zenml_inputs_step_run_id")
        ),
        sa.PrimaryKeyConstraint("step_run_id", "position", name=op.f("pk_zenml_inputs")),
        **_mysql,
        sqlite_with_rowid=False,
    )
    op.create_index(op.f("ix_zenml_inputs_artifact_id"), "zenml_inputs", ["artifact_id"])
