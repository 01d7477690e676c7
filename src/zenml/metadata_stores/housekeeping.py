"""Housekeeping over SQLAlchemy Core, the same for every database."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException, DuplicateRunNameError, InUseError
from zenml.metadata_stores.base_metadata_store import BaseMetadataStore
from zenml.metadata_stores.rows import (
    artifact_columns,
    artifact_of,
    attempt_of,
    error_columns,
    metric_columns,
    owner_text,
    to_json,
    to_text,
)
from zenml.model.housekeeping import ArtifactUse, EndedRun, RecordedArtifact, RunHistory, UnpublishedAttempt
from zenml.model.runs import MetricRecord

if TYPE_CHECKING:
    from zenml.metadata_stores.database import Database, Row, Transaction
    from zenml.model.housekeeping import Rows
    from zenml.model.runs import ArtifactRecord, AttemptRecord, ErrorRecord, RunRecord, StepRunRecord

T = TypeVar("T")

_NO_ROWS: Sequence[Row] = ()
_ALL = 2**62  # as a limit
_RUNS_AT_ONCE = 100  # in one transaction: others wait for its end
_NO_ERROR = {"error_type": None, "error_message": None, "error_traceback": None}
_PART = 1 << 20  # characters
_ID = 9  # where an artifact's id stands in its row


class SQLHousekeeping(BaseMetadataStore):
    """The methods of the section "Housekeeping"."""

    if TYPE_CHECKING:

        @property
        def _database(self) -> Database: ...

        def _read(self, work: Callable[[Transaction], T], nothing: T) -> T: ...

    @property
    def _statements(self) -> Any:
        # Made when they are needed: a run needs none of them.
        from zenml.metadata_stores import housekeeping_statements

        return housekeeping_statements

    # Looking.

    def recorded_artifacts(
        self,
        *,
        pipeline: str | None = None,
        run_id: int | None = None,
        step: str | None = None,
        limit: int | None = None,
    ) -> list[RecordedArtifact]:
        """Artifacts, the newest first."""
        sql = self._statements
        query = sql.recorded(pipeline=pipeline is not None, run=run_id is not None, step=step is not None)
        values = {"pipeline_name": pipeline, "run_id": run_id, "step_name": step}
        given = {name: value for name, value in values.items() if value is not None}
        rows = self._found(query, **given, limit=_ALL if limit is None else limit)
        return [RecordedArtifact(artifact_of(row), *row[sql.ARTIFACT_COLUMNS :]) for row in rows]

    def artifact_uses(self, artifact_id: int) -> list[ArtifactUse]:
        """Who wrote an artifact, took it from the cache, or read it."""
        sql = self._statements
        artifact = self.artifact(artifact_id)
        given = self._found(sql.givers, producer=artifact.producer)
        read = self._found(sql.readers, artifact_id=artifact_id)
        return [
            ArtifactUse("output" if source is None else "cached output", artifact.name, *use)
            for source, *use in given
        ] + [ArtifactUse("input", name, *use) for name, *use in read]

    def history(self, run_id: int) -> RunHistory:
        """All that is recorded of a run."""
        sql = self._statements
        run = self.run(run_id)

        def rows(query: Any) -> Sequence[Row]:
            return self._found(query, run_id=run_id)

        steps: list[StepRunRecord] = self.steps(run_id)
        for (name,) in rows(sql.names_of_mapped):
            steps += self.instances(run_id, name)
        attempts: dict[int, list[AttemptRecord]] = {}
        for row in rows(sql.attempts_of_run):
            attempts.setdefault(row[1], []).append(attempt_of(row))
        metrics: dict[int, list[MetricRecord]] = {}
        for step, name, value, special, series, recorded in rows(sql.metrics_of_run):
            metrics.setdefault(step, []).append(
                MetricRecord(step, name, float(special or value), series, recorded)
            )
        logged: dict[int, dict[str, str]] = {}
        for step, name, value in rows(sql.logged_parameters_of_run):
            logged.setdefault(step, {})[name] = value
        removed: dict[int, float] = {}
        return RunHistory(
            run=run,
            deployment=self.deployment(run_id),
            steps=steps,
            attempts=attempts,
            inputs=_values(rows(sql.inputs_of_run), sql.ARTIFACT_COLUMNS, removed),
            outputs=_values(rows(sql.outputs_of_run), sql.ARTIFACT_COLUMNS, removed),
            metrics=metrics,
            logged_parameters=logged,
            removed=removed,
        )

    def unfinished_runs(self) -> list[RunRecord]:
        """The runs in progress."""
        sql = self._statements
        ids = self._found(sql.unfinished_ids)
        found = [self.run(id) for (id,) in ids]  # which settles those whose owner is dead
        return [run for run in found if not run.status.is_finished]

    def ended_runs(self) -> list[EndedRun]:
        """The runs that have ended, the oldest first."""
        sql = self._statements
        origins = {id for (id,) in self._found(sql.origins_in_use)}
        return [
            EndedRun(id, UUID(uuid), pipeline, name, ExecutionStatus(status), ended, id in origins)
            for id, uuid, pipeline, name, status, ended in self._found(sql.ended_runs)
        ]

    def unpublished_attempts(self) -> list[UnpublishedAttempt]:
        """The attempts of runs that have ended which published nothing."""
        sql = self._statements
        rows = self._found(sql.unpublished_attempts)
        return [UnpublishedAttempt(UUID(uuid), *rest) for uuid, *rest in rows]

    # Removing the files of artifacts.

    def unused_artifacts(
        self, run_ids: Collection[int], store: str
    ) -> Mapping[int, Sequence[ArtifactRecord]]:
        """The artifacts that only these runs use."""
        unused: dict[int, list[ArtifactRecord]] = {}
        sql, let_go = self._statements, set(run_ids)
        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> Sequence[Row]:
                used = _used(tx, sql, batch, let_go)
                return [
                    row
                    for row in tx.rows(sql.present, {"runs": batch, "store": store})
                    if row[_ID] not in used
                ]

            for row in self._read(work, _NO_ROWS):
                unused.setdefault(row[sql.ARTIFACT_COLUMNS], []).append(artifact_of(row))
        return unused

    def set_aside(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """Mark the artifacts that only these runs use as removed."""
        sql = self._statements
        let_go = set(run_ids)
        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> None:
                used = _used(tx, sql, batch, let_go)
                ids = [row[_ID] for row in tx.rows(sql.present, {"runs": batch, "store": store})]
                tx.run_many(
                    sql.remove, [{"artifact_id": id, "moment": moment} for id in ids if id not in used]
                )

            self._database.write(work)

    def confirm_removal(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """Take back the mark of those that are used all the same."""
        sql, let_go = self._statements, set(run_ids)
        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> None:
                used = _used(tx, sql, batch, let_go)
                marked = tx.rows(sql.set_aside, {"runs": batch, "store": store, "moment": moment})
                tx.run_many(sql.bring_back, [{"artifact_id": row[_ID]} for row in marked if row[_ID] in used])

            self._database.write(work)

    def removed_artifacts(self, run_ids: Collection[int], store: str, moment: float) -> list[ArtifactRecord]:
        """The artifacts of these runs that were marked at that moment."""
        sql = self._statements
        return [
            artifact_of(row)
            for batch in _batches(run_ids)
            for row in self._found(sql.set_aside, runs=batch, store=store, moment=moment)
        ]

    def bring_back(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """The artifacts of these runs that were marked at that moment are there again."""
        sql = self._statements
        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> None:
                rows = tx.rows(sql.set_aside, {"runs": batch, "store": store, "moment": moment})
                tx.run_many(sql.bring_back, [{"artifact_id": row[_ID]} for row in rows])

            self._database.write(work)

    # Whole runs.

    def users_of_runs(self, run_ids: Collection[int]) -> Mapping[int, set[int]]:
        """The other runs that use results of these."""
        sql, given = self._statements, set(run_ids)
        users: dict[int, set[int]] = {}
        for maker, user in self._database.read(
            lambda tx: list(tx.rows_in(sql.run_references, "runs", given))
        ):
            if user not in given:
                users.setdefault(maker, set()).add(user)
        return users

    def stores_of_runs(self, run_ids: Collection[int]) -> set[str]:
        """The roots of the artifact stores that hold artifacts of these runs."""
        sql = self._statements
        return {store for _, store in self._found_of_runs(sql.other_stores, run_ids)}

    def dump_runs(self, run_ids: Collection[int]) -> Rows:
        """All rows of these runs."""
        sql = self._statements

        def work(tx: Transaction) -> Rows:
            names: dict[int, str] = dict(tx.rows_in(sql.pipeline_names, "runs", run_ids))
            dump: dict[str, list[dict[str, Any]]] = {}
            for table, query in sql.rows_of.items():
                columns = sql.COLUMNS[table]
                found = [dict(zip(columns, row, strict=True)) for row in tx.rows_in(query, "runs", run_ids)]
                dump[table] = found
            for row in dump[sql.TABLES[0].name]:
                row["pipeline_id"] = names[row["id"]]
            return dump

        return self._database.read(work)

    def delete_runs(self, run_ids: Collection[int]) -> None:
        """Delete all rows of these runs."""
        sql, given = self._statements, set(run_ids)

        def work(tx: Transaction) -> None:
            if any(user not in given for _, user in tx.rows_in(sql.run_references, "runs", given)):
                raise InUseError("Other runs use results of the runs that are to be deleted.")
            for batch in _batches(given):
                tx.run(sql.unlink_sources, {"runs": batch})
            for table in reversed(sql.TABLES):
                for batch in _batches(given):
                    tx.run(sql.delete_of[table.name], {"runs": batch})
            tx.run(sql.delete_empty_pipelines, {})

        self._database.write(work)

    def restore_runs(self, rows: Rows) -> None:
        """Put back what `dump_runs` gave."""
        sql, database = self._statements, self._database
        runs, step_runs = rows[sql.TABLES[0].name], rows[sql.TABLES[2].name]

        def work(tx: Transaction) -> None:
            missing: set[int] = set()
            for run in runs:
                found = tx.row(database.sql.run_named, {"name": run["name"], "uuid": run["uuid"]})
                if found is None:
                    missing.add(run["id"])
                elif found[0] != run["id"]:
                    raise self._taken(run["name"])
            if not missing:
                return  # they are there again already
            self._check_uses(tx, rows)
            for table in sql.TABLES:
                columns = dict.fromkeys(sql.COLUMNS[table.name])
                values = [{**columns, **row} for row in rows[table.name]]
                if table.name == sql.TABLES[0].name:
                    values = [
                        {**row, "pipeline_id": self._pipeline_id(tx, row["pipeline_id"])} for row in values
                    ]
                elif table.name == sql.TABLES[2].name:
                    values = [{**row, "source_id": None} for row in values]
                tx.run_many(sql.put_back[table.name], values)
            sources = [
                {"step_run_id": row["id"], "source": row["source_id"]}
                for row in step_runs
                if row["source_id"]
            ]
            tx.run_many(sql.link_source, sources)

        database.write(work)

    def import_run(self, history: RunHistory) -> int:
        """Record a run of another store."""
        sql, database = self._statements, self._database
        run = history.run
        empty = {name: dict.fromkeys(columns) for name, columns in sql.COLUMNS.items()}
        runs, deployments, step_runs, attempts, artifacts, inputs, metrics, logged = (
            t.name for t in sql.TABLES
        )
        document = to_text(history.deployment) or ""
        parts = [document[start : start + _PART] for start in range(0, len(document), _PART)]
        position = {name: i for i, name in enumerate(dict.fromkeys(step.name for step in history.steps))}

        def work(tx: Transaction) -> int:
            if tx.row(database.sql.run_named, {"name": run.name, "uuid": str(run.uuid)}):
                raise self._taken(run.name)
            run_id = tx.insert(
                sql.insert_new[runs],
                {
                    **empty[runs],
                    **_columns_of_run(run),
                    "pipeline_id": self._pipeline_id(tx, run.pipeline),
                },
            )
            tx.run_many(
                sql.insert_new[deployments],
                [{"run_id": run_id, "part": number, "document": part} for number, part in enumerate(parts)],
            )
            ids: dict[int, int] = {}  # of artifacts
            step_ids: dict[int, int] = {}
            for step in history.steps:
                row = {
                    **empty[step_runs],
                    **_columns_of_step(step),
                    "run_id": run_id,
                    "position": position[step.name],
                }
                id = step_ids[step.id] = tx.insert(sql.insert_new[step_runs], row)
                for place, artifact in enumerate(history.outputs.get(step.id, {}).values()):
                    written = {
                        **empty[artifacts],
                        **artifact_columns(artifact),
                        "step_run_id": id,
                        "position": place,
                        "removed": history.removed.get(artifact.id),
                    }
                    ids.setdefault(artifact.id, tx.insert(sql.insert_new[artifacts], written))
            for step in history.steps:
                of = {"step_run_id": step_ids[step.id]}
                tx.run_many(
                    sql.insert_new[attempts],
                    [
                        {**empty[attempts], **_columns_of_attempt(a), **of}
                        for a in history.attempts.get(step.id, ())
                    ],
                )
                read = enumerate(history.inputs.get(step.id, {}).items())
                tx.run_many(
                    sql.insert_new[inputs],
                    [{**of, "position": i, "name": name, "artifact_id": ids[a.id]} for i, (name, a) in read],
                )
                tx.run_many(
                    sql.insert_new[metrics],
                    [
                        {**of, **metric_columns(m.name, m.value, m.step, m.recorded)}
                        for m in history.metrics.get(step.id, ())
                    ],
                )
                tx.run_many(
                    sql.insert_new[logged],
                    [
                        {**of, "name": name, "value": to_text(value)}
                        for name, value in history.logged_parameters.get(step.id, {}).items()
                    ],
                )
            return run_id

        return database.write(work)

    def _found(self, query: Any, **values: Any) -> Sequence[Row]:
        return self._read(lambda tx: tx.rows(query, values), _NO_ROWS)

    def _found_of_runs(self, query: Any, run_ids: Collection[int]) -> Sequence[Row]:
        return self._read(lambda tx: list(tx.rows_in(query, "runs", run_ids)), _NO_ROWS)

    def _pipeline_id(self, tx: Transaction, name: str) -> int:
        sql = self._database.sql
        found = tx.row(sql.pipeline_id, {"name": name})
        return int(found[0]) if found else tx.insert(sql.insert_pipeline, {"name": name})

    def _check_uses(self, tx: Transaction, rows: Rows) -> None:
        sql = self._statements
        _, _, step_runs, _, artifacts, inputs, *_ = (table.name for table in sql.TABLES)
        sources = (
            {row["source_id"] for row in rows[step_runs]} - {row["id"] for row in rows[step_runs]} - {None}
        )
        read = {row["artifact_id"] for row in rows[inputs]} - {row["id"] for row in rows[artifacts]}
        if sources - {id for (id,) in tx.rows_in(sql.known_steps, "ids", sources)} or read - {
            id for (id,) in tx.rows_in(sql.known_artifacts, "ids", read)
        }:
            raise DoesNotExistException(
                "The runs cannot be put back: they use results of other runs, which were deleted since."
            )

    def _taken(self, name: str) -> DuplicateRunNameError:
        return DuplicateRunNameError(
            f"A run named '{name}' is recorded in the metadata store '{self.name}' already."
        )


def _batches(run_ids: Collection[int]) -> Iterator[list[int]]:
    ids = sorted(run_ids)
    for start in range(0, len(ids), _RUNS_AT_ONCE):
        yield ids[start : start + _RUNS_AT_ONCE]


def _used(tx: Transaction, sql: Any, runs: Sequence[int], let_go: set[int]) -> set[int]:
    """The artifacts of these runs that a run uses which is not let go."""
    return {
        artifact
        for query in (sql.input_references, sql.cached_references)
        for artifact, user in tx.rows(query, {"runs": runs})
        if user not in let_go
    }


def _values(
    rows: Iterable[Row], width: int, removed: dict[int, float]
) -> dict[int, dict[str, ArtifactRecord]]:
    """Artifacts by step run and name; notes which were removed."""
    values: dict[int, dict[str, ArtifactRecord]] = {}
    for row in rows:
        artifact = artifact_of(row)
        step, name, moment = row[width:]
        values.setdefault(step, {})[name] = artifact
        if moment is not None:
            removed[artifact.id] = moment
    return values


def _columns_of_run(run: RunRecord) -> dict[str, Any]:
    return {
        "uuid": str(run.uuid),
        "name": run.name,
        "status": run.status.value,
        "stack": run.stack,
        "runtime_configuration": to_json(run.runtime_configuration),
        "created": run.created,
        "ended": run.ended,
        "zenml_version": run.zenml_version,
        "git_sha": run.git_sha,
        **_columns_of_error(run.error),
    }


def _columns_of_step(step: StepRunRecord) -> dict[str, Any]:
    # Neither a result key nor a source: it is no result for others, and what it gave is its own here.
    return {
        "name": step.name,
        "map_index": step.map_index,
        "entrypoint_name": step.entrypoint_name,
        "status": step.status.value,
        "parameters": to_json(step.parameters),
        "docstring": to_text(step.docstring),
        "cache_key": step.cache_key,
        "key_parts": to_json(step.key_parts),
        "attempts": step.attempts,
        "token": step.attempts,
        "started": step.started,
        "ended": step.ended,
        "reason": to_text(step.reason),
        **_columns_of_error(step.error),
    }


def _columns_of_attempt(attempt: AttemptRecord) -> dict[str, Any]:
    return {
        "number": attempt.number,
        "token": attempt.number,
        "status": attempt.status.value,
        "owner": owner_text(attempt.owner),
        "lease_until": attempt.started,
        "started": attempt.started,
        "ended": attempt.ended,
        **_columns_of_error(attempt.error),
    }


def _columns_of_error(error: ErrorRecord | None) -> dict[str, Any]:
    return dict(_NO_ERROR) if error is None else error_columns(error)
