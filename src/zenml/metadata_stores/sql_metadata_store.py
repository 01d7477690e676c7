"""The metadata store over SQLAlchemy Core, the same for every database."""

from __future__ import annotations

import os
import time
from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import PrivateAttr

from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException, DuplicateRunNameError, StaleAttemptError, StoreError
from zenml.metadata_stores.housekeeping import SQLHousekeeping
from zenml.metadata_stores.rows import (
    artifact_of,
    artifact_rows,
    attempt_of,
    error_columns,
    failure_columns,
    input_rows,
    metric_columns,
    owner_of,
    owner_text,
    run_of,
    step_columns,
    step_of,
    to_json,
    to_text,
    with_ids,
)
from zenml.metadata_stores.settling import as_settled, end_run, is_dead, record_late, settle
from zenml.model.runs import (
    ArtifactRecord,
    AttemptRecord,
    CachedResult,
    CacheHit,
    CacheKey,
    Claim,
    ErrorRecord,
    InFlight,
    MetricRecord,
    Owner,
    PipelineRecord,
    RunDraft,
    RunRecord,
    RunRegistration,
    StepDraft,
    StepRunRecord,
)

if TYPE_CHECKING:
    from zenml.metadata_stores.database import Database, Row, Transaction
    from zenml.stack import Check

T = TypeVar("T")

_NO_ROWS: Sequence[Row] = ()
_ALL = 2**62  # as a limit
_PART = 1 << 20  # characters
_KEYS_AT_ONCE = (1, 8, 64)  # each is a statement of its own


class SQLMetadataStore(SQLHousekeeping):
    """Keeps everything in a relational database. A flavor says how to reach it."""

    # One for each process: connections do not survive a fork. Copies of a component share it.
    _databases: dict[int, Database] = PrivateAttr(default_factory=dict)

    @abstractmethod
    def _place(self) -> tuple[Callable[..., Database], dict[str, Any]]:
        """The class of the database, and its arguments, which are hashable: components of one place share one database."""

    @property
    def _database(self) -> Database:
        pid = os.getpid()
        try:
            return self._databases[pid]
        except KeyError:
            from zenml.metadata_stores.database import shared

            kind, place = self._place()
            return self._databases.setdefault(pid, shared(pid, kind, **place))

    def check(self) -> Iterator[Check]:
        """Open the database, compare revisions and clocks, and write in a transaction that is undone."""
        from zenml.metadata_stores.checks import check_certificate, check_database

        yield from self._check_state()
        for field in ("sslcert", "ssl_cert"):
            if path := getattr(self, field, None):
                yield check_certificate(path)
        yield from check_database(lambda: self._database)

    # Writing.

    def register_run(self, run: RunDraft) -> RunRegistration:
        """Record a run and its steps."""
        database = self._database
        sql = database.sql
        now = time.time()
        row = {
            "uuid": str(run.uuid),
            "name": run.name,
            "status": "running",
            "stack": run.stack,
            "runtime_configuration": to_json(run.runtime_configuration),
            "created": now,
            "zenml_version": run.zenml_version,
            "git_sha": run.git_sha,
            "owner": owner_text(run.owner),
            "lease_until": run.lease_until,
            "origin_kind": run.origin.kind if run.origin else None,
            "origin_id": run.origin.run_id if run.origin else None,
        }
        steps = [{**step_columns(step), "position": position} for position, step in enumerate(run.steps)]
        document = to_text(run.deployment) or ""
        parts = [document[start : start + _PART] for start in range(0, len(document), _PART)]

        def work(tx: Transaction) -> RunRegistration:
            if tx.row(sql.run_named, {"name": run.name, "uuid": str(run.uuid)}):
                raise DuplicateRunNameError(
                    f"A run named '{run.name}' is recorded in the metadata store '{self.name}' already: "
                    "give this one another name, or none."
                )
            found = tx.row(sql.pipeline_id, {"name": run.pipeline})
            pipeline_id = found[0] if found else tx.insert(sql.insert_pipeline, {"name": run.pipeline})
            run_id = tx.insert(sql.insert_run, {**row, "pipeline_id": pipeline_id})
            tx.run_many(
                sql.insert_deployment,
                [{"run_id": run_id, "part": number, "document": part} for number, part in enumerate(parts)],
            )
            tx.run_many(sql.insert_step_run, [{**step, "run_id": run_id} for step in steps])
            return RunRegistration(run_id, dict(tx.rows(sql.step_run_ids, {"run_id": run_id})))

        record_late(database)
        registration = database.write(work)
        database.hold(run.owner)
        return registration

    def start_attempt(
        self,
        step_run_id: int,
        *,
        key: CacheKey,
        inputs: Mapping[str, int],
        owner: Owner,
        lease_until: float,
        reason: str | None = None,
        shares: bool = False,
    ) -> Claim | InFlight:
        """Claim a step."""
        database = self._database
        sql = database.sql
        parts = to_json(key.parts)
        who = owner_text(owner)
        why = to_text(reason)
        used = input_rows(step_run_id, inputs)

        def work(tx: Transaction) -> Claim | InFlight:
            if shares:
                database.lock(tx, key.digest)
            state = tx.row(sql.claimable, {"step_run_id": step_run_id})
            if state is None:
                raise self._no_step(step_run_id)
            attempts, token, status, run_id, result_key = state
            if ExecutionStatus(status).is_finished:
                raise StaleAttemptError(
                    f"The step run {step_run_id} cannot be started: it has ended already, as {status}."
                )
            if result_key is not None:
                raise StaleAttemptError(
                    f"The step run {step_run_id} cannot be started: its instances are under way already."
                )
            now = time.time()
            if shares:
                for id, who_else, lease in tx.rows(
                    sql.in_flight, {"cache_key": key.digest, "run_id": run_id}
                ):
                    if not is_dead(database, owner_of(who_else), lease, now):
                        return InFlight(id)
            if attempts:
                tx.run(sql.crash_attempts, {"step_run_id": step_run_id, "now": now})
                tx.run(sql.delete_inputs, {"step_run_id": step_run_id})
            number, token = attempts + 1, token + 1
            tx.run(
                sql.claim,
                {
                    "step_run_id": step_run_id,
                    "attempts": number,
                    "token": token,
                    "cache_key": key.digest,
                    "key_parts": parts,
                    "reason": why,
                    "now": now,
                },
            )
            attempt_id = tx.insert(
                sql.insert_attempt,
                {
                    "step_run_id": step_run_id,
                    "number": number,
                    "token": token,
                    "status": "running",
                    "owner": who,
                    "lease_until": lease_until,
                    "started": now,
                },
            )
            tx.run_many(sql.insert_input, used)
            return Claim(step_run_id, attempt_id, number, token)

        return database.write(work)

    def complete_attempt(
        self, claim: Claim, artifacts: Sequence[ArtifactRecord]
    ) -> tuple[ArtifactRecord, ...]:
        """Publish the outputs, and end attempt and step."""
        database = self._database
        sql = database.sql
        rows = artifact_rows(claim.step_run_id, artifacts)

        def work(tx: Transaction) -> list[int]:
            now = time.time()
            claimed = {"step_run_id": claim.step_run_id, "token": claim.token, "now": now}
            if not tx.run(sql.complete_step, claimed):
                raise _stale(claim)
            tx.run(sql.complete_attempt, {"attempt_id": claim.attempt_id, "now": now})
            return [tx.insert(sql.insert_artifact, row) for row in rows]

        ids = database.write(work)
        return with_ids(artifacts, ids, claim.step_run_id)

    def expand_step(
        self, claim: Claim, items: Sequence[ArtifactRecord], instances: Sequence[StepDraft]
    ) -> tuple[tuple[ArtifactRecord, ...], list[int]]:
        """Publish the items of a mapped step, and register its instances."""
        database = self._database
        sql = database.sql
        rows = artifact_rows(claim.step_run_id, items)

        def work(tx: Transaction) -> tuple[list[int], list[int]]:
            if not tx.run(sql.expand_step, {"step_run_id": claim.step_run_id, "token": claim.token}):
                raise _stale(claim)
            tx.run(sql.complete_attempt, {"attempt_id": claim.attempt_id, "now": time.time()})
            tx.run_many(sql.insert_artifact, rows)
            ids = [row[0] for row in tx.rows(sql.artifact_ids, {"step_run_id": claim.step_run_id})]
            return ids, self._insert_instances(tx, claim.step_run_id, instances)

        ids, registered = database.write(work)
        return with_ids(items, ids, claim.step_run_id), registered

    def expand_cached(self, hit: CacheHit, instances: Sequence[StepDraft]) -> list[int]:
        """Take the items of a mapped step from an earlier one, and register its instances."""
        database = self._database
        sql = database.sql

        def work(tx: Transaction) -> list[int]:
            step = self._hit(tx, hit, self._states(tx, (hit,)))
            if step is None or not tx.run(sql.expand_cached, step):
                raise StaleAttemptError(
                    f"The step run {hit.step_run_id} cannot take its items from an earlier one: it has ended, or has its own."
                )
            tx.run_many(sql.insert_input, input_rows(hit.step_run_id, hit.inputs))
            return self._insert_instances(tx, hit.step_run_id, instances)

        return database.write(work)

    def end_mapped(self, step_run_id: int, status: ExecutionStatus, error: ErrorRecord | None = None) -> None:
        """End a mapped step that has not ended."""
        database = self._database
        sql = database.sql
        values = {"step_run_id": step_run_id, "status": status.value, **failure_columns(error)}
        database.write(lambda tx: tx.run(sql.end_step, {**values, "ended": time.time()}))

    def _insert_instances(
        self, tx: Transaction, step_run_id: int, instances: Sequence[StepDraft]
    ) -> list[int]:
        sql = self._database.sql
        place = tx.row(sql.place_of, {"step_run_id": step_run_id})
        assert place is not None  # noqa: S101 - the transaction has just changed it
        run_id, name, position = place
        rows = [{**step_columns(one), "run_id": run_id, "position": position} for one in instances]
        tx.run_many(sql.insert_step_run, rows)
        return [row[0] for row in tx.rows(sql.instance_ids, {"run_id": run_id, "name": name})]

    def fail_attempt(
        self,
        claim: Claim,
        error: ErrorRecord,
        *,
        status: ExecutionStatus = ExecutionStatus.FAILED,
        final: bool = True,
    ) -> None:
        """End the attempt, and the step if `final`."""
        database = self._database
        sql = database.sql
        failure = error_columns(error)

        def work(tx: Transaction) -> None:
            now = time.time()
            end = {"status": status.value, "ended": now, **failure}
            step = end if final else {"status": "pending", "ended": None, **failure_columns(None)}
            claimed = {"step_run_id": claim.step_run_id, "token": claim.token}
            if not tx.run(sql.end_claimed_step, {**claimed, **step}):
                raise _stale(claim)
            tx.run(sql.end_attempt, {"attempt_id": claim.attempt_id, **end})

        database.write(work)

    def fail_step(
        self,
        step_run_id: int,
        error: ErrorRecord,
        *,
        status: ExecutionStatus = ExecutionStatus.FAILED,
        final: bool = True,
    ) -> None:
        """End a step, or leave it for its next attempt; the attempt that is under way can no longer publish."""
        database = self._database
        sql = database.sql
        end = {"status": status.value, **error_columns(error)}
        step = end if final else {"status": "pending", **failure_columns(None)}

        def work(tx: Transaction) -> None:
            now = time.time()
            if tx.run(sql.end_step, {"step_run_id": step_run_id, "ended": now if final else None, **step}):
                tx.run(sql.end_attempts, {"step_run_id": step_run_id, "now": now, **end})

        database.write(work)

    def record_hits(self, hits: Sequence[CacheHit]) -> None:
        """End these steps as `cached`."""
        database = self._database
        sql = database.sql

        def work(tx: Transaction) -> None:
            states = self._states(tx, hits)
            steps: list[dict[str, Any]] = []
            used: list[dict[str, Any]] = []
            for hit in hits:
                if step := self._hit(tx, hit, states):
                    steps.append(step)
                    used += input_rows(hit.step_run_id, hit.inputs)
            tx.run_many(sql.hit_step, steps)
            tx.run_many(sql.insert_input, used)

        database.write(work)

    def _states(self, tx: Transaction, hits: Sequence[CacheHit]) -> dict[int, Row]:
        """What is known of the steps of these hits, and of their sources."""
        ids = {hit.step_run_id for hit in hits} | {hit.source for hit in hits}
        states = {row[0]: row for row in tx.rows_in(self._database.sql.step_states, "ids", sorted(ids))}
        if missing := sorted(ids - states.keys()):
            raise self._no_step(missing[0])
        return states

    def _hit(self, tx: Transaction, hit: CacheHit, states: Mapping[int, Row]) -> dict[str, Any] | None:
        """What the step of a hit becomes; None if it has ended."""
        _, status, attempts, _ = states[hit.step_run_id]
        if ExecutionStatus(status).is_finished:
            return None
        if attempts:
            tx.run(self._database.sql.delete_inputs, {"step_run_id": hit.step_run_id})
        return {
            "step_run_id": hit.step_run_id,
            "cache_key": hit.key.digest,
            # The one that really ran, should the source be a cached one itself.
            "source_id": states[hit.source][3] or hit.source,
            "now": time.time(),
        }

    def skip_steps(self, reasons: Mapping[int, str]) -> None:
        """End these steps as `skipped`; those that have ended stay as they are."""
        database = self._database
        sql = database.sql

        def work(tx: Transaction) -> None:
            now = time.time()
            tx.run_many(
                sql.skip_step,
                [
                    {"step_run_id": id, "reason": to_text(reason), "now": now}
                    for id, reason in reasons.items()
                ],
            )

        database.write(work)

    def finish_run(self, run_id: int, status: ExecutionStatus, error: ErrorRecord | None = None) -> None:
        """End a run that has not ended."""
        database = self._database
        values = {"run_id": run_id, "status": status.value, **failure_columns(error)}

        try:
            database.write(lambda tx: end_run(database, tx, values))
        except StoreError:
            # This process may live on for days: it is recorded when it uses the store again.
            database.unrecorded[run_id] = values
            raise

    def renew_lease(self, run_id: int, lease_until: float) -> None:
        """The run's owner lives."""
        database = self._database
        values = {"run_id": run_id, "lease_until": lease_until}
        database.write(lambda tx: tx.run(database.sql.renew_lease, values))

    def request_cancel(self, run_id: int) -> None:
        """Ask whoever executes the run to end it."""
        database = self._database
        self.run(run_id)  # settled, if nobody executes it any more
        database.write(lambda tx: tx.run(database.sql.request_cancel, {"run_id": run_id, "now": time.time()}))

    def is_cancel_requested(self, run_id: int) -> bool:
        """Whether somebody asked for the end of this run."""
        return any(row[0] is not None for row in self._rows("is_cancel_requested", run_id=run_id))

    def log_metrics(self, step_run_id: int, metrics: Mapping[str, float], *, step: int = 0) -> None:
        """Record numbers of a step."""
        database = self._database
        sql = database.sql
        now = time.time()
        rows = [
            {"step_run_id": step_run_id, **metric_columns(name, value, step, now)}
            for name, value in metrics.items()
        ]
        database.write(lambda tx: tx.run_many(sql.insert_metric, rows))

    def log_parameters(self, step_run_id: int, parameters: Mapping[str, str]) -> None:
        """Record parameters that a step reports by itself."""
        database = self._database
        sql = database.sql
        rows = [
            {"step_run_id": step_run_id, "name": name, "value": to_text(value)}
            for name, value in parameters.items()
        ]

        def work(tx: Transaction) -> None:
            for row in rows:
                tx.run(sql.delete_logged_parameter, row)
            tx.run_many(sql.insert_logged_parameter, rows)

        database.write(work)

    # Caching.

    def recent_results(self, pipeline: str, store: str) -> Mapping[str, CachedResult]:
        """The results of the pipeline's last run that has ended, and of its last complete one."""
        database = self._database
        sql = database.sql

        def work(tx: Transaction) -> Mapping[str, CachedResult]:
            row = tx.row(sql.recent_runs, {"pipeline": pipeline}) or ()
            return self._results_of_runs(tx, [id for id in row if id is not None], store)

        unfinished = self._rows("open_runs_of", pipeline=pipeline)
        settle(database, ((id, owner_of(owner), lease) for id, owner, lease in unfinished))
        return self._read(work, {})

    def results_of_run(self, run_id: int, store: str) -> Mapping[str, CachedResult]:
        """The results of a run's steps and instances."""
        return self._read(lambda tx: self._results_of_runs(tx, [run_id], store), {})

    def find_results(self, digests: Collection[str], store: str) -> Mapping[str, CachedResult]:
        """The latest result for each of these cache keys."""
        database = self._database

        def work(tx: Transaction) -> Mapping[str, CachedResult]:
            found: dict[str, int] = {}
            for keys in _batches(list(dict.fromkeys(digests))):
                values = {f"key_{i}": key for i, key in enumerate(keys)}
                rows = tx.rows(database.sql.results_of(len(keys)), {**values, "store": store})
                found.update((key, id) for key, id in rows if id is not None)
            return self._results(tx, found, store)

        return self._read(work, {})

    def forget_result(self, step_run_id: int) -> None:
        """Do not give the outputs of this step run as a result again."""
        database = self._database
        sql = database.sql
        database.write(lambda tx: tx.run(sql.forget_result, {"step_run_id": step_run_id}))

    def _results_of_runs(self, tx: Transaction, runs: Collection[int], store: str) -> dict[str, CachedResult]:
        if not runs:
            return {}
        keys = tx.rows(self._database.sql.successful_keys, {"runs": sorted(set(runs))})
        return self._results(tx, dict(keys), store)

    def _results(self, tx: Transaction, sources: Mapping[str, int], store: str) -> dict[str, CachedResult]:
        """The results of these step runs, by key; without those that lie in another artifact store, or were deleted."""
        sql = self._database.sql
        ids = sorted(set(sources.values()))
        outputs: dict[int, list[ArtifactRecord]] = {id: [] for id in ids}
        elsewhere: set[int] = set()
        for row in tx.rows_in(sql.artifacts_of, "step_runs", ids):
            artifact = artifact_of(row)
            outputs[artifact.producer].append(artifact)
            if artifact.store != store or row[11] is not None:
                elsewhere.add(artifact.producer)
        ended: dict[int, float | None] = dict(tx.rows_in(sql.endings, "ids", ids))
        return {
            key: CachedResult(id, tuple(outputs[id]), ended[id] or 0.0)
            for key, id in sources.items()
            if id not in elsewhere
        }

    # Reading.

    def pipelines(self) -> list[PipelineRecord]:
        """All pipelines, in the order of their first runs."""
        return [PipelineRecord(*row) for row in self._rows("all_pipelines")]

    def pipeline(self, name: str) -> PipelineRecord | None:
        """The pipeline of that name."""
        return next((PipelineRecord(*row) for row in self._rows("pipeline", name=name)), None)

    def count_runs(self, pipeline_id: int | None = None) -> int:
        """Number of runs."""
        query = "count_runs" if pipeline_id is None else "count_runs_of"
        return sum(row[0] for row in self._rows(query, pipeline_id=pipeline_id))

    def runs(
        self,
        pipeline_id: int | None = None,
        *,
        offset: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[RunRecord]:
        """Runs by age."""
        page = self._database.sql.pages[pipeline_id is not None, newest_first]
        values = {"offset": offset, "limit": _ALL if limit is None else limit, "pipeline_id": pipeline_id}
        return self._true_runs(lambda tx: tx.rows(page, values))

    def run(self, run_id: int) -> RunRecord:
        """A run."""
        query = self._database.sql.run
        for run in self._true_runs(lambda tx: tx.rows(query, {"run_id": run_id})):
            return run
        raise DoesNotExistException(f"The metadata store '{self.name}' has no run with the id {run_id}.")

    def run_by_name(self, name: str) -> RunRecord | None:
        """The run of that name."""
        query = self._database.sql.run_by_name
        return next(iter(self._true_runs(lambda tx: tx.rows(query, {"name": name}))), None)

    def deployment(self, run_id: int) -> str:
        """The compiled pipeline of a run."""
        if parts := self._rows("deployment", run_id=run_id):
            return "".join([row[0] for row in parts])
        raise DoesNotExistException(f"The metadata store '{self.name}' has no run with the id {run_id}.")

    def steps(self, run_id: int) -> list[StepRunRecord]:
        """The steps of a run."""
        return self._true_steps("steps", run_id=run_id)

    def instances(self, run_id: int, name: str) -> list[StepRunRecord]:
        """The instances of a mapped step."""
        return self._true_steps("instances", run_id=run_id, name=name)

    def attempts(self, step_run_id: int) -> list[AttemptRecord]:
        """The attempts of a step run."""
        steps = self._true_steps("step", step_run_id=step_run_id)
        attempts = [attempt_of(row) for row in self._rows("attempts_of", step_run_id=step_run_id)]
        return [as_settled(a) for a in attempts] if any(s.status.is_finished for s in steps) else attempts

    def previous_step(self, step_run_id: int) -> StepRunRecord | None:
        """The same step in the last earlier run in which it had a key."""
        return next(iter(self._true_steps("previous_step", step_run_id=step_run_id)), None)

    def durations(self, pipeline: str) -> Mapping[str, float]:
        """Seconds that each step took."""
        sql = self._database.sql

        def work(tx: Transaction) -> Mapping[str, float]:
            runs = sorted({id for id in tx.row(sql.recent_runs, {"pipeline": pipeline}) or () if id})
            latest: dict[str, dict[int, float]] = {}
            for run in runs:
                found: dict[str, dict[int, float]] = {}
                for name, index, seconds in tx.rows(sql.durations, {"run_id": run}):
                    found.setdefault(name, {})[index] = seconds
                latest |= found
            # The row of a mapped step itself tells how long its instances took together with their waits.
            return {
                name: sum(seconds for index, seconds in by_index.items() if index >= 0 or len(by_index) == 1)
                for name, by_index in latest.items()
            }

        return self._read(work, {})

    def step(self, step_run_id: int) -> StepRunRecord:
        """A step of a run."""
        for step in self._true_steps("step", step_run_id=step_run_id):
            return step
        raise self._no_step(step_run_id)

    def inputs(self, step_run_id: int) -> dict[str, ArtifactRecord]:
        """What a step read."""
        return {row[11]: artifact_of(row) for row in self._rows("inputs_of", step_run_id=step_run_id)}

    def outputs(self, step_run_id: int) -> dict[str, ArtifactRecord]:
        """What a step gave."""
        return {row[0]: artifact_of(row) for row in self._rows("outputs", step_run_id=step_run_id)}

    def artifact(self, artifact_id: int) -> ArtifactRecord:
        """An artifact."""
        for row in self._rows("artifact", artifact_id=artifact_id):
            return artifact_of(row)
        raise DoesNotExistException(
            f"The metadata store '{self.name}' has no artifact with the id {artifact_id}."
        )

    def metrics(self, step_run_id: int) -> list[MetricRecord]:
        """The numbers that a step logged."""
        return [
            MetricRecord(step, name, float(special or value), series, recorded)
            for step, name, value, special, series, recorded in self._rows(
                "metrics_of", step_run_id=step_run_id
            )
        ]

    def logged_parameters(self, step_run_id: int) -> dict[str, str]:
        """The parameters that a step reported by itself."""
        return dict(self._rows("logged_parameters_of", step_run_id=step_run_id))

    def _true_runs(self, query: Callable[[Transaction], Sequence[Row]]) -> list[RunRecord]:
        """The runs that a query finds; those that are dead are settled before."""
        runs = [run_of(row) for row in self._read(query, _NO_ROWS)]
        unfinished = [(r.id, r.owner, r.lease_until) for r in runs if not r.status.is_finished]
        if unfinished:
            changed = record_late(self._database)
            dead = settle(self._database, unfinished)
            if changed or dead:
                runs = [run_of(row) for row in self._read(query, _NO_ROWS)]
                runs = [as_settled(run) if run.id in dead else run for run in runs]
        return runs

    def _true_steps(self, query: str, **values: Any) -> list[StepRunRecord]:
        """The steps that a query finds; those of runs that are dead are settled before."""
        steps = [step_of(row) for row in self._rows(query, **values)]
        runs = {step.run_id for step in steps if not step.status.is_finished}
        if ended := {id for id in runs if self.run(id).status.is_finished}:
            steps = [step_of(row) for row in self._rows(query, **values)]
            steps = [as_settled(step) if step.run_id in ended else step for step in steps]
        return steps

    def _rows(self, query: str, **values: Any) -> Sequence[Row]:
        statement = getattr(self._database.sql, query)
        return self._read(lambda tx: tx.rows(statement, values), _NO_ROWS)

    def _read(self, work: Callable[[Transaction], T], nothing: T) -> T:
        database = self._database
        return database.read(work) if database.exists else nothing

    def _no_step(self, step_run_id: int) -> DoesNotExistException:
        return DoesNotExistException(
            f"The metadata store '{self.name}' has no step run with the id {step_run_id}."
        )


def _stale(claim: Claim) -> StaleAttemptError:
    return StaleAttemptError(
        f"The attempt {claim.number} of the step run {claim.step_run_id} has lost its claim: a later attempt owns the step, "
        "or it has ended. Nothing of this attempt is recorded."
    )


def _batches(keys: list[str]) -> Iterable[list[str]]:
    """The keys in batches of a few sizes; the last one is filled up with a key that it holds."""
    largest = _KEYS_AT_ONCE[-1]
    for start in range(0, len(keys), largest):
        batch = keys[start : start + largest]
        size = next(size for size in _KEYS_AT_ONCE if size >= len(batch))
        yield batch + batch[:1] * (size - len(batch))
