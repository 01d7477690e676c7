"""The statements of a metadata store, in SQLAlchemy Core. Each is compiled once for a database; values come by name."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import (
    Insert,
    Select,
    Table,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    union_all,
    update,
)

from zenml.metadata_stores.schema import (
    artifacts,
    attempts,
    deployments,
    inputs,
    locks,
    logged_parameters,
    metrics,
    pipelines,
    runs,
    step_runs,
    version,
)

_b = bindparam


def _insert(table: Table, *without: str) -> Insert:
    return insert(table).values({c.name: _b(c.name) for c in table.c if c.name not in ("id", *without)})


_error: dict[str, Any] = {name: _b(name) for name in ("error_type", "error_message", "error_traceback")}
_this_step = step_runs.c.id == _b("step_run_id")
_open_step = step_runs.c.ended.is_(None)
_claimed = (step_runs.c.token == _b("token")) & (step_runs.c.status == "running")
_this_run = runs.c.id == _b("run_id")
_of_this_run = step_runs.c.run_id == _b("run_id")
_itself = step_runs.c.map_index == -1  # not an instance of a mapped step

# The store itself.

version_row = select(version.c.version_num, version.c.zenml_version)
insert_version = _insert(version)
update_version = update(version).values(zenml_version=_b("zenml_version"))

# Runs.

pipeline_id = select(pipelines.c.id).where(pipelines.c.name == _b("name"))
insert_pipeline = _insert(pipelines)
run_named = select(runs.c.id).where(or_(runs.c.name == _b("name"), runs.c.uuid == _b("uuid")))
insert_run = _insert(runs, "ended", "error_type", "error_message", "error_traceback", "cancel_requested")
insert_deployment = _insert(deployments)
insert_step_run = insert(step_runs).values(
    run_id=_b("run_id"),
    position=_b("position"),
    name=_b("name"),
    map_index=_b("map_index"),
    entrypoint_name=_b("entrypoint_name"),
    status="pending",
    parameters=_b("parameters"),
    docstring=_b("docstring"),
    attempts=0,
    token=0,
)
step_run_ids = (
    select(step_runs.c.name, step_runs.c.id).where(_of_this_run, _itself).order_by(step_runs.c.position)
)
_open_run = runs.c.ended.is_(None)
finish_run = update(runs).where(_this_run, _open_run).values(status=_b("status"), ended=_b("ended"), **_error)
renew_lease = update(runs).where(_this_run, _open_run).values(lease_until=_b("lease_until"))
request_cancel = (
    update(runs)
    .where(_this_run, _open_run, runs.c.cancel_requested.is_(None))
    .values(cancel_requested=_b("now"))
)
is_cancel_requested = select(runs.c.cancel_requested).where(_this_run)

# What is left open by a run that has ended, or is dead.

owner_of = select(runs.c.owner, runs.c.lease_until).where(_this_run, _open_run).with_for_update()
crash_open_attempts = (
    update(attempts)
    .where(
        attempts.c.status == "running",
        # Of steps that have ended, too: one that could not record its end may have been skipped by its run.
        attempts.c.step_run_id.in_(select(step_runs.c.id).where(_of_this_run)),
    )
    .values(status="crashed", ended=_b("now"))
)
crash_open_steps = (
    update(step_runs)
    .where(_of_this_run, _open_step, step_runs.c.status == "running")
    .values(status="crashed", ended=_b("now"), token=step_runs.c.token + 1)
)
skip_open_steps = (
    update(step_runs)
    .where(_of_this_run, _open_step)
    .values(status="skipped", ended=_b("now"), token=step_runs.c.token + 1, reason=_b("reason"))
)

# Steps and attempts.

claimable = (
    select(
        step_runs.c.attempts,
        step_runs.c.token,
        step_runs.c.status,
        step_runs.c.run_id,
        step_runs.c.result_key,
    )
    .where(_this_step)
    .with_for_update()
)
lock = select(locks.c.slot).where(locks.c.slot == _b("slot")).with_for_update()
in_flight = (
    select(step_runs.c.id, runs.c.owner, runs.c.lease_until)
    .join_from(step_runs, runs)
    .where(
        step_runs.c.cache_key == _b("cache_key"),
        step_runs.c.status == literal_column("'running'"),  # as the condition of the index says it
        step_runs.c.result_key.is_(None),
        step_runs.c.run_id != _b("run_id"),
        _open_run,
    )
)
claim = (
    update(step_runs)
    .where(_this_step)
    .values(
        status="running",
        attempts=_b("attempts"),
        token=_b("token"),
        cache_key=_b("cache_key"),
        key_parts=_b("key_parts"),
        reason=_b("reason"),
        started=func.coalesce(step_runs.c.started, _b("now")),
    )
)
insert_attempt = _insert(attempts, "ended", "error_type", "error_message", "error_traceback")
_running_attempts = update(attempts).where(
    attempts.c.step_run_id == _b("step_run_id"), attempts.c.status == "running"
)
crash_attempts = _running_attempts.values(status="crashed", ended=_b("now"))
end_attempts = _running_attempts.values(status=_b("status"), ended=_b("now"), **_error)
delete_inputs = delete(inputs).where(inputs.c.step_run_id == _b("step_run_id"))
insert_input = _insert(inputs)
complete_step = (
    update(step_runs)
    .where(_this_step, _claimed)
    .values(status="completed", ended=_b("now"), result_key=step_runs.c.cache_key)
)
complete_attempt = (
    update(attempts).where(attempts.c.id == _b("attempt_id")).values(status="completed", ended=_b("now"))
)
insert_artifact = _insert(artifacts, "removed")
artifact_ids = (
    select(artifacts.c.id).where(artifacts.c.step_run_id == _b("step_run_id")).order_by(artifacts.c.position)
)
end_claimed_step = (
    update(step_runs).where(_this_step, _claimed).values(status=_b("status"), ended=_b("ended"), **_error)
)
end_attempt = (
    update(attempts)
    .where(attempts.c.id == _b("attempt_id"))
    .values(status=_b("status"), ended=_b("ended"), **_error)
)
# A new token: an attempt that is under way all the same can no longer publish.
end_step = (
    update(step_runs)
    .where(_this_step, _open_step)
    .values(status=_b("status"), ended=_b("ended"), token=step_runs.c.token + 1, **_error)
)
expand_step = (
    update(step_runs)
    .where(_this_step, _claimed)
    .values(result_key=step_runs.c.cache_key, token=step_runs.c.token + 1)
)
place_of = select(step_runs.c.run_id, step_runs.c.name, step_runs.c.position).where(_this_step)
skip_step = (
    update(step_runs)
    .where(_this_step, _open_step)
    .values(
        status="skipped",
        ended=_b("now"),
        token=step_runs.c.token + 1,
        reason=_b("reason"),
    )
)
step_states = select(step_runs.c.id, step_runs.c.status, step_runs.c.attempts, step_runs.c.source_id).where(
    step_runs.c.id.in_(_b("ids", expanding=True))
)
hit_step = (
    update(step_runs)
    .where(_this_step, _open_step)
    .values(
        status="cached",
        cache_key=_b("cache_key"),
        source_id=_b("source_id"),
        reason=null(),
        token=step_runs.c.token + 1,
        started=_b("now"),
        ended=_b("now"),
    )
)
expand_cached = (
    update(step_runs)
    .where(_this_step, _open_step, step_runs.c.result_key.is_(None), step_runs.c.source_id.is_(None))
    .values(
        status="running",
        cache_key=_b("cache_key"),
        source_id=_b("source_id"),
        reason=null(),
        token=step_runs.c.token + 1,
        started=_b("now"),
    )
)
insert_metric = _insert(metrics)
delete_logged_parameter = delete(logged_parameters).where(
    logged_parameters.c.step_run_id == _b("step_run_id"), logged_parameters.c.name == _b("name")
)
insert_logged_parameter = _insert(logged_parameters)

# Results that a step can be hit with.

_of_pipeline = (
    runs.c.pipeline_id == select(pipelines.c.id).where(pipelines.c.name == _b("pipeline")).scalar_subquery()
)
_newest = select(runs.c.id).where(_of_pipeline).order_by(runs.c.id.desc()).limit(1)
open_runs_of = select(runs.c.id, runs.c.owner, runs.c.lease_until).where(
    _of_pipeline, runs.c.status == "running"
)
recent_runs = select(
    _newest.where(runs.c.status == "completed").scalar_subquery(),
    _newest.where(runs.c.ended.is_not(None)).scalar_subquery(),
)
_ran = func.coalesce(step_runs.c.source_id, step_runs.c.id)
_origin = step_runs.alias("origin")
successful_keys = (
    select(step_runs.c.cache_key, _origin.c.id)
    .join_from(step_runs, _origin, _origin.c.id == _ran)
    .where(
        step_runs.c.run_id.in_(_b("runs", expanding=True)),
        _origin.c.result_key.is_not(None),
    )
)
endings = select(step_runs.c.id, step_runs.c.ended).where(step_runs.c.id.in_(_b("ids", expanding=True)))
forget_result = update(step_runs).where(_this_step).values(result_key=null())


@cache
def results_of(count: int) -> Select[Any]:
    """The step run whose result is the latest one for each of the keys key_0, key_1 ... that lies in the artifact store `store`."""
    keys = union_all(
        *(select(_b(f"key_{i}", type_=step_runs.c.result_key.type).label("key")) for i in range(count))
    )
    wanted = keys.subquery("wanted")
    out_of_reach = exists().where(
        artifacts.c.step_run_id == step_runs.c.id,
        or_(artifacts.c.store != _b("store"), artifacts.c.removed.is_not(None)),
    )
    latest = (
        select(step_runs.c.id)
        .where(step_runs.c.result_key == wanted.c.key, ~out_of_reach)
        .order_by(step_runs.c.id.desc())
        .limit(1)
        .correlate(wanted)
        .scalar_subquery()
    )
    return select(wanted.c.key, latest)


# Reading.

_artifact = select(
    artifacts.c.name,
    artifacts.c.uri,
    artifacts.c.store,
    artifacts.c.artifact_type,
    artifacts.c.data_type,
    artifacts.c.materializer,
    artifacts.c.manifest,
    artifacts.c.digest,
    artifacts.c.size,
    artifacts.c.id,
    artifacts.c.step_run_id,
)
artifact = _artifact.where(artifacts.c.id == _b("artifact_id"))
artifacts_of = (
    _artifact.add_columns(artifacts.c.removed)
    .where(artifacts.c.step_run_id.in_(_b("step_runs", expanding=True)))
    .order_by(artifacts.c.step_run_id, artifacts.c.position)
)
outputs = (
    _artifact.join(step_runs, artifacts.c.step_run_id == _ran)
    .where(_this_step)
    .order_by(artifacts.c.position)
)
inputs_of = (
    _artifact.add_columns(inputs.c.name.label("input"))
    .join(inputs, inputs.c.artifact_id == artifacts.c.id)
    .where(inputs.c.step_run_id == _b("step_run_id"))
    .order_by(inputs.c.position)
)

all_pipelines = select(pipelines.c.id, pipelines.c.name).order_by(pipelines.c.id)
pipeline = select(pipelines.c.id, pipelines.c.name).where(pipelines.c.name == _b("name"))

_run = select(
    runs.c.id,
    runs.c.uuid,
    pipelines.c.name.label("pipeline"),
    runs.c.name,
    runs.c.status,
    runs.c.stack,
    runs.c.runtime_configuration,
    runs.c.created,
    runs.c.ended,
    runs.c.error_type,
    runs.c.error_message,
    runs.c.error_traceback,
    runs.c.zenml_version,
    runs.c.git_sha,
    runs.c.owner,
    runs.c.lease_until,
    runs.c.cancel_requested,
    runs.c.origin_kind,
    runs.c.origin_id,
).join_from(runs, pipelines)
run = _run.where(_this_run)
run_by_name = _run.where(runs.c.name == _b("name"))
count_runs = select(func.count()).select_from(runs)
count_runs_of = count_runs.where(runs.c.pipeline_id == _b("pipeline_id"))
deployment = (
    select(deployments.c.document).where(deployments.c.run_id == _b("run_id")).order_by(deployments.c.part)
)


def _page(*, of_pipeline: bool, newest_first: bool) -> Select[Any]:
    # The page is cut from the index alone; only its own rows are read.
    order = runs.c.id.desc() if newest_first else runs.c.id
    ids = select(runs.c.id).order_by(order).offset(_b("offset")).limit(_b("limit"))
    if of_pipeline:
        ids = ids.where(runs.c.pipeline_id == _b("pipeline_id"))
    page = ids.subquery("page")
    return _run.join(page, page.c.id == runs.c.id).order_by(order)


pages = {
    (of_pipeline, newest_first): _page(of_pipeline=of_pipeline, newest_first=newest_first)
    for of_pipeline in (False, True)
    for newest_first in (False, True)
}

_source = step_runs.alias("source")
_step = select(
    step_runs.c.id,
    step_runs.c.run_id,
    step_runs.c.name,
    step_runs.c.entrypoint_name,
    step_runs.c.map_index,
    step_runs.c.status,
    step_runs.c.parameters,
    step_runs.c.docstring,
    step_runs.c.cache_key,
    func.coalesce(step_runs.c.key_parts, _source.c.key_parts).label("key_parts"),
    step_runs.c.source_id,
    step_runs.c.attempts,
    step_runs.c.started,
    step_runs.c.ended,
    step_runs.c.error_type,
    step_runs.c.error_message,
    step_runs.c.error_traceback,
    step_runs.c.reason,
).join_from(step_runs, _source, step_runs.c.source_id == _source.c.id, isouter=True)
step = _step.where(_this_step)
steps = _step.where(_of_this_run, _itself).order_by(step_runs.c.position)
_instances = (step_runs.c.name == _b("name")) & (step_runs.c.map_index >= 0)
instances = _step.where(_of_this_run, _instances).order_by(step_runs.c.map_index)
instance_ids = select(step_runs.c.id).where(_of_this_run, _instances).order_by(step_runs.c.map_index)
attempt = select(
    attempts.c.id,
    attempts.c.step_run_id,
    attempts.c.number,
    attempts.c.status,
    attempts.c.owner,
    attempts.c.started,
    attempts.c.ended,
    attempts.c.error_type,
    attempts.c.error_message,
    attempts.c.error_traceback,
)
attempts_of = attempt.where(attempts.c.step_run_id == _b("step_run_id")).order_by(attempts.c.number)
_this = step_runs.alias("this")
_this_ones_run = runs.alias("this_ones_run")
previous_step = (
    _step.join(runs, step_runs.c.run_id == runs.c.id)
    .join(_this_ones_run, _this_ones_run.c.pipeline_id == runs.c.pipeline_id)
    .join(_this, _this.c.run_id == _this_ones_run.c.id)
    .where(
        _this.c.id == _b("step_run_id"),
        runs.c.id < _this_ones_run.c.id,
        step_runs.c.name == _this.c.name,
        step_runs.c.map_index == _this.c.map_index,
        step_runs.c.cache_key.is_not(None),
    )
    .order_by(runs.c.id.desc())
    .limit(1)
)
_seconds = _origin.c.ended - _origin.c.started
durations = (
    select(step_runs.c.name, step_runs.c.map_index, _seconds.label("seconds"))
    .join_from(step_runs, _origin, _origin.c.id == _ran)
    .where(_of_this_run, _origin.c.status == "completed", _seconds.is_not(None))
)
metrics_of = (
    select(
        metrics.c.step_run_id,
        metrics.c.name,
        metrics.c.value,
        metrics.c.special,
        metrics.c.step,
        metrics.c.recorded,
    )
    .where(metrics.c.step_run_id == _b("step_run_id"))
    .order_by(metrics.c.id)
)
logged_parameters_of = (
    select(logged_parameters.c.name, logged_parameters.c.value)
    .where(logged_parameters.c.step_run_id == _b("step_run_id"))
    .order_by(logged_parameters.c.id)
)
