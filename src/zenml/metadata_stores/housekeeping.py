"""Housekeeping over SQLAlchemy Core, the same for every database."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from zenml.enums import ExecutionStatus
from zenml.exceptions import DuplicateRunNameError, InUseError
from zenml.metadata_stores.base_metadata_store import BaseMetadataStore
from zenml.metadata_stores.rows import artifact_of, error_columns, error_of, owner_text, to_json, to_text
from zenml.model.housekeeping import ArtifactUse, EndedRun, RecordedArtifact, RunHistory, UnpublishedAttempt
from zenml.model.runs import AttemptRecord, MetricRecord, Owner

if TYPE_CHECKING:
    from zenml.metadata_stores.database import Database, Row, Transaction
    from zenml.model.housekeeping import Rows
    from zenml.model.runs import ArtifactRecord, RunRecord, StepRunRecord

T = TypeVar("T")

_ALL = 2**62  # as a limit
_RUNS_AT_ONCE = 100  # in one transaction: others wait for its end
_NO_ERROR = {"error_type": None, "error_message": None, "error_traceback": None}
_PART = 1 << 20  # characters


class SQLHousekeeping(BaseMetadataStore):
    """The methods of the section "Housekeeping"."""

    if TYPE_CHECKING:

        @property
        def _database(self) -> Database: ...

        def _read(self, work: Callable[[Transaction], T], nothing: T) -> T: ...

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
        from zenml.metadata_stores import housekeeping_statements as sql

        query = sql.recorded(pipeline=pipeline is not None, run=run_id is not None, step=step is not None)
        values = {"pipeline_name": pipeline, "run_id": run_id, "step_name": step}
        given = {name: value for name, value in values.items() if value is not None}
        rows = self._read(lambda tx: tx.rows(query, {**given, "limit": _ALL if limit is None else limit}), ())
        return [RecordedArtifact(artifact_of(row), *row[sql.ARTIFACT_COLUMNS :]) for row in rows]

    def artifact_uses(self, artifact_id: int) -> list[ArtifactUse]:
        """Who wrote an artifact, took it from the cache, or read it."""
        from zenml.metadata_stores import housekeeping_statements as sql

        artifact = self.artifact(artifact_id)
        database = self._database
        given = database.read(lambda tx: tx.rows(sql.givers, {"producer": artifact.producer}))
        read = database.read(lambda tx: tx.rows(sql.readers, {"artifact_id": artifact_id}))
        return [
            ArtifactUse("output" if source is None else "cached output", artifact.name, *use)
            for source, *use in given
        ] + [ArtifactUse("input", name, *use) for name, *use in read]

    def history(self, run_id: int) -> RunHistory:
        """All that is recorded of a run."""
        from zenml.metadata_stores import housekeeping_statements as sql

        run = self.run(run_id)
        database = self._database

        def rows(query: Any) -> Sequence[Row]:
            return database.read(lambda tx: tx.rows(query, {"run_id": run_id}))

        steps: list[StepRunRecord] = self.steps(run_id)
        for (name,) in rows(sql.names_of_mapped):
            steps += self.instances(run_id, name)
        attempts: dict[int, list[AttemptRecord]] = {}
        for id, step, number, status, owner, started, ended, *error in rows(sql.attempts_of_run):
            record = AttemptRecord(
                id,
                step,
                number,
                ExecutionStatus(status),
                Owner(*json.loads(owner)),
                started,
                ended,
                error_of(*error),
            )
            attempts.setdefault(step, []).append(record)
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
        from zenml.metadata_stores import housekeeping_statements as sql

        ids = self._read(lambda tx: tx.rows(sql.unfinished_ids), ())
        found = [self.run(id) for (id,) in ids]  # which settles those whose owner is dead
        return [run for run in found if not run.status.is_finished]

    def ended_runs(self) -> list[EndedRun]:
        """The runs that have ended, the oldest first."""
        from zenml.metadata_stores import housekeeping_statements as sql

        rows = self._read(lambda tx: tx.rows(sql.ended_runs), ())
        return [
            EndedRun(id, UUID(uuid), pipeline, name, ExecutionStatus(status), ended, bool(is_origin))
            for id, uuid, pipeline, name, status, ended, is_origin in rows
        ]

    def unpublished_attempts(self) -> list[UnpublishedAttempt]:
        """The attempts of runs that have ended which published nothing."""
        from zenml.metadata_stores import housekeeping_statements as sql

        rows = self._read(lambda tx: tx.rows(sql.unpublished_attempts), ())
        return [UnpublishedAttempt(UUID(uuid), *rest) for uuid, *rest in rows]

    # Removing the files of artifacts.

    def unused_artifacts(self, run_ids: Collection[int], store: str) -> list[ArtifactRecord]:
        """The artifacts that only these runs use."""
        unused: list[ArtifactRecord] = []
        for batch in _batches(run_ids):
            unused += self._read(
                lambda tx, batch=batch: _unused(tx, batch, set(run_ids), store, None)[0],  # type: ignore[misc]
                [],
            )
        return unused

    def set_aside(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """Mark the artifacts that only these runs use as removed."""
        from zenml.metadata_stores import housekeeping_statements as sql

        let_go = set(run_ids)
        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> None:
                unused, _ = _unused(tx, batch, let_go, store, None)
                tx.run_many(sql.remove, [{"artifact_id": a.id, "moment": moment} for a in unused])

            self._database.write(work)

    def confirm_removal(
        self, run_ids: Collection[int], store: str, moment: float
    ) -> list[ArtifactRecord]:
        """Take back the mark of those that are used all the same; gives the others."""
        from zenml.metadata_stores import housekeeping_statements as sql

        let_go = set(run_ids)
        confirmed: list[ArtifactRecord] = []
        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> list[ArtifactRecord]:
                unused, used = _unused(tx, batch, let_go, store, moment)
                tx.run_many(sql.bring_back, [{"artifact_id": a.id} for a in used])
                return unused

            confirmed += self._database.write(work)
        return confirmed

    def bring_back(self, run_ids: Collection[int], store: str, moment: float) -> None:
        """The artifacts of these runs that were marked at that moment are there again."""
        from zenml.metadata_stores import housekeeping_statements as sql

        for batch in _batches(run_ids):

            def work(tx: Transaction, batch: Sequence[int] = batch) -> None:
                rows = tx.rows(sql.set_aside, {"runs": batch, "store": store, "moment": moment})
                tx.run_many(sql.bring_back, [{"artifact_id": artifact_of(row).id} for row in rows])

            self._database.write(work)

    # Whole runs.

    def users_of_runs(self, run_ids: Collection[int]) -> Mapping[int, set[int]]:
        """The other runs that use results of these."""
        database = self._database
        users: dict[int, set[int]] = {}
        for maker, user in database.read(lambda tx: list(_references(tx, run_ids))):
            users.setdefault(maker, set()).add(user)
        return users

    def stores_of_runs(self, run_ids: Collection[int]) -> set[str]:
        """The roots of the artifact stores that hold artifacts of these runs."""
        from zenml.metadata_stores import housekeeping_statements as sql

        return {row[1] for row in self._database.read(lambda tx: list(tx.rows_in(sql.other_stores, "runs", run_ids)))}

    def dump_runs(self, run_ids: Collection[int]) -> Rows:
        """All rows of these runs."""
        from zenml.metadata_stores import housekeeping_statements as sql

        def work(tx: Transaction) -> Rows:
            names = dict(tx.rows_in(sql.pipeline_names, "runs", run_ids))
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
        from zenml.metadata_stores import housekeeping_statements as sql

        def work(tx: Transaction) -> None:
            if next(_references(tx, run_ids), None) is not None:
                raise InUseError("Other runs use results of the runs that are to be deleted.")
            ids = list(run_ids)
            tx.run(sql.unlink_sources, {"runs": ids})
            for table in reversed(sql.TABLES):
                tx.run(sql.delete_of[table.name], {"runs": ids})
            tx.run(sql.delete_empty_pipelines, {})

        for batch in [list(run_ids)] if run_ids else []:
            self._database.write(lambda tx: work(tx))
            del batch

    def restore_runs(self, rows: Rows) -> None:
        """Put back what `dump_runs` gave."""
        raise NotImplementedError

    def import_run(self, history: RunHistory) -> int:
        """Record a run of another store."""
        raise NotImplementedError


def _batches(run_ids: Collection[int]) -> Iterator[list[int]]:
    ids = sorted(run_ids)
    for start in range(0, len(ids), _RUNS_AT_ONCE):
        yield ids[start : start + _RUNS_AT_ONCE]
