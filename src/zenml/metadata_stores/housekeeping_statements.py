"""The statements of housekeeping: what uses what, and taking runs out and putting them in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Delete,
    Insert,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    null,
    or_,
    select,
    update,
)

from zenml.metadata_stores import statements
from zenml.metadata_stores.schema import (
    artifacts,
    attempts,
    deployments,
    inputs,
    logged_parameters,
    metrics,
    pipelines,
    runs,
    step_runs,
)

_b = bindparam
_artifact = tuple(statements.artifact.selected_columns)
ARTIFACT_COLUMNS = len(_artifact)
"""How many columns stand before the others in rows that begin with an artifact."""

_runs = step_runs.c.run_id.in_(_b("runs", expanding=True))
_steps_of_runs = select(step_runs.c.id).where(_runs)
_given_by = func.coalesce(step_runs.c.source_id, step_runs.c.id)

# Artifacts and who uses them.


@lru_cache(maxsize=8)
def recorded(*, pipeline: bool, run: bool, step: bool) -> Select[Any]:
    """Artifacts, the newest first, with what wrote them: of a pipeline, a run (what it took from the cache included), steps of a name."""
    query = (
        select(
            *_artifact,
            pipelines.c.name.label("pipeline"),
            runs.c.name.label("run"),
            step_runs.c.name.label("step"),
            step_runs.c.map_index,
            step_runs.c.ended,
            artifacts.c.removed,
        )
        .join_from(artifacts, step_runs, artifacts.c.step_run_id == step_runs.c.id)
        .join(runs, step_runs.c.run_id == runs.c.id)
        .join(pipelines, runs.c.pipeline_id == pipelines.c.id)
        .order_by(artifacts.c.id.desc())
        .limit(_b("limit"))
    )
    if pipeline:
        query = query.where(pipelines.c.name == _b("pipeline_name"))
    if run:
        giver = step_runs.alias("giver")
        giving = select(func.coalesce(giver.c.source_id, giver.c.id)).where(giver.c.run_id == _b("run_id"))
        query = query.where(artifacts.c.step_run_id.in_(giving))
    if step:
        query = query.where(step_runs.c.name == _b("step_name"))
    return query


_use = (runs.c.name.label("run"), step_runs.c.name.label("step"), step_runs.c.map_index)
givers = (
    select(step_runs.c.source_id, *_use)
    .join_from(step_runs, runs, step_runs.c.run_id == runs.c.id)
    .where(or_(step_runs.c.id == _b("producer"), step_runs.c.source_id == _b("producer")))
    .order_by(step_runs.c.id)
)
readers = (
    select(inputs.c.name, *_use)
    .join_from(inputs, step_runs, inputs.c.step_run_id == step_runs.c.id)
    .join(runs, step_runs.c.run_id == runs.c.id)
    .where(inputs.c.artifact_id == _b("artifact_id"))
    .order_by(step_runs.c.id, inputs.c.position)
)

# All that is recorded of a run.

_of_run = step_runs.c.run_id == _b("run_id")
names_of_mapped = (
    select(step_runs.c.name)
    .where(_of_run, step_runs.c.map_index >= 0)
    .group_by(step_runs.c.name, step_runs.c.position)
    .order_by(step_runs.c.position)
)
attempts_of_run = (
    statements.attempt.join(step_runs, attempts.c.step_run_id == step_runs.c.id)
    .where(_of_run)
    .order_by(step_runs.c.id, attempts.c.number)
)
inputs_of_run = (
    select(*_artifact, step_runs.c.id.label("of"), inputs.c.name.label("input"), artifacts.c.removed)
    .join_from(inputs, step_runs, inputs.c.step_run_id == step_runs.c.id)
    .join(artifacts, inputs.c.artifact_id == artifacts.c.id)
    .where(_of_run)
    .order_by(step_runs.c.id, inputs.c.position)
)
outputs_of_run = (
    select(*_artifact, step_runs.c.id.label("of"), artifacts.c.name.label("output"), artifacts.c.removed)
    .join_from(step_runs, artifacts, artifacts.c.step_run_id == _given_by)
    .where(_of_run)
    .order_by(step_runs.c.id, artifacts.c.position)
)
metrics_of_run = (
    select(
        metrics.c.step_run_id,
        metrics.c.name,
        metrics.c.value,
        metrics.c.special,
        metrics.c.step,
        metrics.c.recorded,
    )
    .join_from(metrics, step_runs, metrics.c.step_run_id == step_runs.c.id)
    .where(_of_run)
    .order_by(metrics.c.id)
)
logged_parameters_of_run = (
    select(logged_parameters.c.step_run_id, logged_parameters.c.name, logged_parameters.c.value)
    .join_from(logged_parameters, step_runs, logged_parameters.c.step_run_id == step_runs.c.id)
    .where(_of_run)
    .order_by(logged_parameters.c.id)
)

# What a run is kept or let go by.

unfinished_ids = select(runs.c.id).where(runs.c.ended.is_(None)).order_by(runs.c.id)
origins_in_use = select(runs.c.origin_id).where(runs.c.ended.is_(None), runs.c.origin_id.is_not(None))
ended_runs = (
    select(
        runs.c.id,
        runs.c.uuid,
        pipelines.c.name.label("pipeline"),
        runs.c.name,
        runs.c.status,
        runs.c.ended,
    )
    .join_from(runs, pipelines, runs.c.pipeline_id == pipelines.c.id)
    .where(runs.c.ended.is_not(None))
    .order_by(runs.c.id)
)
unpublished_attempts = (
    select(runs.c.uuid, step_runs.c.name, step_runs.c.map_index, attempts.c.number)
    .join_from(attempts, step_runs, attempts.c.step_run_id == step_runs.c.id)
    .join(runs, step_runs.c.run_id == runs.c.id)
    .where(runs.c.ended.is_not(None), attempts.c.ended.is_not(None), attempts.c.status != "completed")
    .order_by(attempts.c.id)
)

# References: who uses what these runs made.

_maker = step_runs.alias("maker")
_made_by_runs = _maker.c.run_id.in_(_b("runs", expanding=True))
input_references = (
    select(artifacts.c.id, step_runs.c.run_id)
    .join_from(_maker, artifacts, artifacts.c.step_run_id == _maker.c.id)
    .join(inputs, inputs.c.artifact_id == artifacts.c.id)
    .join(step_runs, inputs.c.step_run_id == step_runs.c.id)
    .where(_made_by_runs)
    .distinct()
)
cached_references = (
    select(artifacts.c.id, step_runs.c.run_id)
    .join_from(_maker, artifacts, artifacts.c.step_run_id == _maker.c.id)
    .join(step_runs, step_runs.c.source_id == _maker.c.id)
    .where(_made_by_runs)
    .distinct()
)
run_references = (
    select(_maker.c.run_id, step_runs.c.run_id.label("user"))
    .join_from(_maker, step_runs, step_runs.c.source_id == _maker.c.id)
    .where(_made_by_runs)
    .union(
        select(_maker.c.run_id, step_runs.c.run_id.label("user"))
        .join_from(_maker, artifacts, artifacts.c.step_run_id == _maker.c.id)
        .join(inputs, inputs.c.artifact_id == artifacts.c.id)
        .join(step_runs, inputs.c.step_run_id == step_runs.c.id)
        .where(_made_by_runs)
    )
)


def _made(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(*_artifact, step_runs.c.run_id)
        .join_from(step_runs, artifacts, artifacts.c.step_run_id == step_runs.c.id)
        .where(_runs, artifacts.c.store == _b("store"), *conditions)
        .order_by(artifacts.c.id)
    )


present = _made(artifacts.c.removed.is_(None))
set_aside = _made(artifacts.c.removed == _b("moment"))
other_stores = (
    select(step_runs.c.run_id, artifacts.c.store)
    .join_from(step_runs, artifacts, artifacts.c.step_run_id == step_runs.c.id)
    .where(_runs, artifacts.c.removed.is_(None))
    .distinct()
)
_this_artifact = artifacts.c.id == _b("artifact_id")
remove = update(artifacts).where(_this_artifact, artifacts.c.removed.is_(None)).values(removed=_b("moment"))
bring_back = update(artifacts).where(_this_artifact).values(removed=null())

# Runs taken out and put in, whole. In the order of insertion.

TABLES: tuple[Table, ...] = (
    runs,
    deployments,
    step_runs,
    attempts,
    artifacts,
    inputs,
    metrics,
    logged_parameters,
)
_OWN_IDS = (runs, step_runs, artifacts)  # those that others refer to


def _belongs(table: Table) -> ColumnElement[bool]:
    if table is runs:
        return runs.c.id.in_(_b("runs", expanding=True))
    if "run_id" in table.c:
        return table.c.run_id.in_(_b("runs", expanding=True))
    return table.c.step_run_id.in_(_steps_of_runs)


def _columns(table: Table) -> list[str]:
    return [c.name for c in table.c if c.name != "id" or table in _OWN_IDS]


def _ordered(table: Table) -> Select[Any]:
    return (
        select(*(table.c[name] for name in _columns(table)))
        .where(_belongs(table))
        .order_by(*table.primary_key)
    )


def _insert(table: Table, *, id: bool = True) -> Insert:
    names = [name for name in _columns(table) if id or name != "id"]
    return insert(table).values({name: _b(name) for name in names})


COLUMNS: dict[str, list[str]] = {table.name: _columns(table) for table in TABLES}
rows_of: dict[str, Select[Any]] = {table.name: _ordered(table) for table in TABLES}
delete_of: dict[str, Delete] = {table.name: delete(table).where(_belongs(table)) for table in TABLES}
put_back: dict[str, Insert] = {table.name: _insert(table) for table in TABLES}
insert_new: dict[str, Insert] = {table.name: _insert(table, id=False) for table in TABLES}
unlink_sources = update(step_runs).where(_runs).values(source_id=null())
link_source = update(step_runs).where(step_runs.c.id == _b("step_run_id")).values(source_id=_b("source"))
pipeline_names = (
    select(runs.c.id, pipelines.c.name)
    .join_from(runs, pipelines, runs.c.pipeline_id == pipelines.c.id)
    .where(runs.c.id.in_(_b("runs", expanding=True)))
)
delete_empty_pipelines = delete(pipelines).where(~exists().where(runs.c.pipeline_id == pipelines.c.id))
known_steps = select(step_runs.c.id).where(step_runs.c.id.in_(_b("ids", expanding=True)))
known_artifacts = select(artifacts.c.id).where(artifacts.c.id.in_(_b("ids", expanding=True)))
