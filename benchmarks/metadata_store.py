"""The metadata store in SQLite, against `sqlite3` alone with the same rows in the same tables and the same transactions.

And lists of the last runs, in SQLite and PostgreSQL, against the same in a small store.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from uuid import uuid4

from benchmarks.measuring import interleaved, report
from tests.metadata_stores import server_store
from tests.services import PostgreSQLServer, make_session_directory, postgresql_database
from zenml.enums import ExecutionStatus
from zenml.liveness import this_process
from zenml.metadata_stores import BaseMetadataStore, SQLiteMetadataStore
from zenml.model.runs import (
    ArtifactRecord,
    CacheHit,
    CacheKey,
    Claim,
    FileEntry,
    Owner,
    RunDraft,
    RunRegistration,
    StepDraft,
)

STEPS = 1_000
COUNTS = (100, 100_000)
OWNER = Owner("process", "boot", "pid:[1]", 4711, 12.5)
PARTS = {"code step": "a" * 64, "output output": "b" * 64, "input x": "c" * 64}
FILES = (FileEntry("data.json", 3, "d" * 64),)


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        ours = SQLiteMetadataStore(name="local", uri=f"{folder}/ours.db")
        bare = SQLiteMetadataStore(name="bare", uri=f"{folder}/bare.db")
        with closing(_connect(bare)) as connection:
            report(
                f"a step that is started and completed (one input, one output), of {STEPS}",
                _per_step(
                    lambda: _by_hand(connection, register(bare)), lambda: _tracked(ours, register(ours))
                ),
                against="sqlite3",
            )
            source = register(ours)
            _tracked(ours, source)
            report(
                f"a step that is hit, of {STEPS} recorded together",
                _per_step(lambda: _hits_by_hand(connection, register(bare)), lambda: _hits(ours, source)),
                against="sqlite3",
            )
            report(
                f"a step that is registered with its run, of {STEPS}",
                _per_step(lambda: _registered_by_hand(connection), lambda: _timed(lambda: register(ours))),
                against="sqlite3",
            )
        report(
            f"what {STEPS} steps can be hit with, in one query",
            interleaved({"recent_results": lambda: ours.recent_results("chain", "/store")}, rounds=5),
            against="recent_results",
        )
        _lists(Path(folder))


def _lists(folder: Path) -> None:
    """The last 20 runs of a pipeline, one of which is under way, with ten steps a run: a million steps in the largest store."""
    sqlite: dict[str, BaseMetadataStore] = {
        _title(count): SQLiteMetadataStore(name="many", uri=f"{folder}/{count}.db") for count in COUNTS
    }
    _compare("SQLite", sqlite)
    with postgresql_server() as url, ExitStack() as databases:
        _compare(
            "PostgreSQL",
            {_title(c): server_store(databases.enter_context(postgresql_database(url))) for c in COUNTS},
        )


def _title(count: int) -> str:
    return f"of {count:,} runs"


def _compare(name: str, stores: Mapping[str, BaseMetadataStore]) -> None:
    actions: dict[str, Callable[[], object]] = {}
    for count, (title, store) in zip(COUNTS, stores.items(), strict=True):
        _many_runs(store, count)
        actions[title] = partial(store.runs, store.pipelines()[0].id, limit=20, newest_first=True)
    smallest, *others = stores
    report(
        f"the last 20 runs in {name}",
        interleaved(actions, rounds=100),
        against=smallest,
        limits=dict.fromkeys(others, 1.3),
    )


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of a server of its own, from this machine's programs."""
    folder = make_session_directory()
    server = PostgreSQLServer(folder / "server")
    try:
        server.start()
        yield server.url
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def register(store: SQLiteMetadataStore) -> RunRegistration:
    name = str(uuid4())
    steps = [StepDraft(f"step_{i}", "step", {}) for i in range(STEPS)]
    return store.register_run(
        RunDraft("chain", name, uuid4(), "default", "{}", {}, steps, OWNER, time.time() + 60, "0.1.0")
    )


def _per_step(bare: Callable[[], float], ours: Callable[[], float]) -> dict[str, float]:
    bare()
    ours()
    pairs = [(bare(), ours()) for _ in range(3)]
    return {"sqlite3": min(b for b, _ in pairs) / STEPS, "metadata store": min(o for _, o in pairs) / STEPS}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _tracked(store: SQLiteMetadataStore, run: RunRegistration) -> float:
    started = time.perf_counter()
    inputs: dict[str, int] = {}
    for name, step in run.step_run_ids.items():
        claim = store.start_attempt(
            step,
            key=CacheKey(name.rjust(64, "k"), PARTS),
            inputs=inputs,
            owner=OWNER,
            lease_until=time.time() + 60,
            shares=True,
        )
        assert isinstance(claim, Claim)
        output = ArtifactRecord(
            "output", f"/store/{step}", "/store", "a.A", "b.int", "m.M", FILES, "e" * 64, 3
        )
        (published,) = store.complete_attempt(claim, [output])
        inputs = {"x": published.id}
    store.finish_run(run.run_id, ExecutionStatus.COMPLETED)
    return time.perf_counter() - started


def _hits(store: SQLiteMetadataStore, source: RunRegistration) -> float:
    run = register(store)
    origins = list(source.step_run_ids.values())
    artifacts = {origin: next(iter(store.outputs(origin).values())).id for origin in origins}
    started = time.perf_counter()
    store.record_hits(
        [
            CacheHit(step, CacheKey("k" * 64, PARTS), {"x": artifacts[origin]}, origin)
            for step, origin in zip(run.step_run_ids.values(), origins, strict=True)
        ]
    )
    return time.perf_counter() - started


# The same with sqlite3 alone.


def _connect(store: SQLiteMetadataStore) -> sqlite3.Connection:
    _tracked(store, register(store))  # makes the tables, and rows to refer to
    connection = sqlite3.connect(store.uri, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _by_hand(connection: sqlite3.Connection, run: RunRegistration) -> float:
    execute = connection.execute
    started = time.perf_counter()
    used = None
    for name, step in run.step_run_ids.items():
        now = time.time()
        execute("BEGIN IMMEDIATE")
        attempts, token = execute(
            "SELECT attempts, token FROM zenml_step_runs WHERE id = ?", (step,)
        ).fetchone()
        execute(
            "UPDATE zenml_step_runs SET status='running', attempts=?, token=?, cache_key=?, key_parts=?, started=? WHERE id=?",
            (attempts + 1, token + 1, name.rjust(64, "k"), json.dumps(PARTS), now, step),
        )
        attempt = execute(
            "INSERT INTO zenml_attempts (step_run_id, number, token, status, owner, lease_until, started) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (step, attempts + 1, token + 1, "running", "[]", now + 60, now),
        ).lastrowid
        if used:
            execute("INSERT INTO zenml_inputs VALUES (?, ?, ?, ?)", (step, 0, "x", used))
        execute("COMMIT")
        now = time.time()
        execute("BEGIN IMMEDIATE")
        execute(
            "UPDATE zenml_step_runs SET status='completed', ended=?, result_key=cache_key WHERE id=? AND token=?",
            (now, step, token + 1),
        )
        execute("UPDATE zenml_attempts SET status='completed', ended=? WHERE id=?", (now, attempt))
        used = execute(
            "INSERT INTO zenml_artifacts (step_run_id, position, name, uri, store, artifact_type, data_type, materializer, "
            "manifest, digest, size) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                step,
                0,
                "output",
                f"/store/{step}",
                "/store",
                "a.A",
                "b.int",
                "m.M",
                json.dumps(["d" * 64]),
                "e" * 64,
                3,
            ),
        ).lastrowid
        execute("COMMIT")
    return time.perf_counter() - started


def _hits_by_hand(connection: sqlite3.Connection, run: RunRegistration) -> float:
    started = time.perf_counter()
    steps = run.step_run_ids.values()
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "UPDATE zenml_step_runs SET status='cached', cache_key=?, source_id=?, started=?, ended=? WHERE id=?",
        [("k" * 64, 1, 1.0, 1.0, step) for step in steps],
    )
    connection.executemany("INSERT INTO zenml_inputs VALUES (?, 0, 'x', 1)", [(step,) for step in steps])
    connection.execute("COMMIT")
    return time.perf_counter() - started


def _registered_by_hand(connection: sqlite3.Connection) -> float:
    started = time.perf_counter()
    connection.execute("BEGIN IMMEDIATE")
    run = connection.execute(
        "INSERT INTO zenml_runs (uuid, pipeline_id, name, status, stack, runtime_configuration, created, zenml_version) "
        "VALUES (?, 1, ?, 'running', 'default', '{}', 1, '0.1.0')",
        (str(uuid4()), str(uuid4())),
    ).lastrowid
    connection.executemany(
        "INSERT INTO zenml_step_runs (run_id, position, name, map_index, entrypoint_name, status, parameters, attempts, token) "
        "VALUES (?, ?, ?, -1, 'step', 'pending', '{}', 0, 0)",
        [(run, i, f"step_{i}") for i in range(STEPS)],
    )
    connection.execute("COMMIT")
    return time.perf_counter() - started


_NUMBERS = """
    WITH digits(d) AS (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)),
    numbers(n) AS (SELECT a.d + 10*b.d + 100*c.d + 1000*e.d + 10000*f.d FROM digits a, digits b, digits c, digits e, digits f),
    runs(id, name) AS (SELECT n + 1, CAST(n + 1 AS VARCHAR(9)) FROM numbers)
"""
_RUNS = f"""
    INSERT INTO zenml_runs (id, uuid, pipeline_id, name, status, stack, runtime_configuration, created, ended, zenml_version)
    {_NUMBERS}
    SELECT id, substr('00000000-0000-0000-0000-000000000000', 1, 36 - length(name)) || name, 1, name,
        'completed', 'default', '{{}}', id, id + 1, '0.1.0'
    FROM runs WHERE id > 1 AND id < %d ORDER BY id
"""  # noqa: S608 - the text above
_STEPS = f"""
    INSERT INTO zenml_step_runs (id, run_id, position, name, map_index, entrypoint_name, status, parameters, attempts, token)
    {_NUMBERS}
    SELECT 10 * id + d, id, d, CAST(d AS VARCHAR(9)), -1, 'step', 'completed', '{{}}', 1, 1
    FROM runs, digits WHERE id < %d ORDER BY 1
"""  # noqa: S608 - the text above


def _many_runs(store: BaseMetadataStore, count: int) -> None:
    """That many runs of ten steps each; the last one is under way, in this process."""
    first = RunDraft("many", "1", uuid4(), "default", "{}", {}, [], OWNER, time.time() + 60, "0.1.0")
    store.finish_run(store.register_run(first).run_id, ExecutionStatus.COMPLETED)
    engine = store._database.engine  # type: ignore[attr-defined]  # noqa: SLF001 - nobody waits for a million of them otherwise
    with engine.begin() as connection:
        for text in (_RUNS, _STEPS):
            connection.exec_driver_sql(text % count)
        if engine.name == "postgresql":
            for table, rows in (("runs", count), ("step_runs", 10 * count + 10)):
                connection.exec_driver_sql(
                    f"SELECT setval(pg_get_serial_sequence('zenml_{table}', 'id'), {rows})"
                )
    if engine.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")  # what its own housekeeping does in time
    last = RunDraft(
        "many",
        "last",
        uuid4(),
        "default",
        "{}",
        {},
        [StepDraft(f"{i}", "step", {}) for i in range(10)],
        this_process(),
        time.time() + 60,
        "0.1.0",
    )
    store.register_run(last)
