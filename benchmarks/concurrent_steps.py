"""100 steps at once that write to one PostgreSQL metadata store, each over a connection of its own, against psycopg with the same rows.

Each begins and completes one step after another, as fast as it can: the steps of a run that computes nothing.
"""

from __future__ import annotations

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from functools import partial
from uuid import uuid4

import psycopg
from sqlalchemy import make_url

from benchmarks.measuring import report
from benchmarks.metadata_store import FILES, OWNER, PARTS, postgresql_server
from tests.metadata_stores import apart, server_store
from tests.services import postgresql_database
from zenml.metadata_stores import BaseMetadataStore
from zenml.model.runs import ArtifactRecord, CacheKey, Claim, RunDraft, StepDraft

PROCESSES = 4
THREADS = 25
EACH = 8
ROUNDS = 3
AIM = 1.5

Work = Callable[[list[int]], None]


def main() -> None:
    """Print seconds of all steps, and their ratio."""
    with postgresql_server() as server, postgresql_database(server) as url:
        together = multiprocessing.get_context("spawn").Barrier(PROCESSES * THREADS + 1)
        times = {}
        for share, what in ((False, "the key is nobody else's"), (True, "keys are looked for in other runs")):
            for kind in ("psycopg", "metadata store"):
                times[kind] = min(_seconds(kind, url, together, share=share) for _ in range(ROUNDS))
            title = f"{PROCESSES * THREADS} steps at once, {EACH} times; {what}"
            report(title, times, against="psycopg", limits={"metadata store": AIM})


def _seconds(kind: str, url: str, together: threading.Barrier, *, share: bool) -> float:
    steps = _registered(url)
    parts = [steps[number::PROCESSES] for number in range(PROCESSES)]
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_process, args=(kind, url, part, together, share)) for part in parts]
    for process in processes:
        process.start()
    together.wait()
    started = time.perf_counter()
    for process in processes:
        process.join()
    ended = time.perf_counter()
    assert not any(process.exitcode for process in processes)
    return ended - started


def _process(kind: str, url: str, steps: list[int], together: threading.Barrier, share: bool) -> None:
    errors: list[BaseException] = []

    def thread(mine: list[int]) -> None:
        try:
            work: Work = (
                partial(_by_hand, _connection(url))
                if kind == "psycopg"
                else partial(_tracked, _store(url), share)
            )
            together.wait()
            work(mine)
        except BaseException as error:  # noqa: BLE001 - raised where the threads end
            errors.append(error)
            together.abort()

    threads = [threading.Thread(target=thread, args=(steps[n::THREADS],)) for n in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    if errors:
        raise errors[0]


def _registered(url: str) -> list[int]:
    drafts = [StepDraft(f"step_{i}", "step", {}) for i in range(PROCESSES * THREADS * EACH)]
    name = str(uuid4())
    draft = RunDraft("fan", name, uuid4(), "default", "{}", {}, drafts, OWNER, time.time() + 600, "0.1.0")
    return list(apart(server_store(url)).register_run(draft).step_run_ids.values())


def _store(url: str) -> BaseMetadataStore:
    store = apart(server_store(url))
    store.pipeline("fan")  # connects
    return store


def _tracked(store: BaseMetadataStore, share: bool, steps: list[int]) -> None:
    for step in steps:
        claim = store.start_attempt(
            step,
            key=CacheKey(f"{step}".rjust(64, "k"), PARTS),
            inputs={},
            owner=OWNER,
            lease_until=time.time() + 60,
            shares=share,
        )
        assert isinstance(claim, Claim)
        uri = f"/store/{step}"
        output = ArtifactRecord("output", uri, "/store", "a.A", "b.int", "m.M", FILES, "e" * 64, 3)
        store.complete_attempt(claim, [output])


def _connection(url: str) -> psycopg.Connection:
    parts = make_url(url)
    return psycopg.connect(
        host=parts.host,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        dbname=parts.database,
    )


def _by_hand(connection: psycopg.Connection, steps: list[int]) -> None:
    with connection:
        for step in steps:
            _one(connection, step)


def _one(connection: psycopg.Connection, step: int) -> None:
    execute = connection.execute
    with connection.transaction():
        now = time.time()
        found = execute(
            "SELECT attempts, token FROM zenml_step_runs WHERE id = %s FOR UPDATE", (step,)
        ).fetchone()
        assert found
        attempts, token = found
        execute(
            "UPDATE zenml_step_runs SET status='running', attempts=%s, token=%s, cache_key=%s, key_parts=%s, started=%s WHERE id=%s",
            (attempts + 1, token + 1, f"{step}".rjust(64, "k"), json.dumps(PARTS), now, step),
        )
        made = execute(
            "INSERT INTO zenml_attempts (step_run_id, number, token, status, owner, lease_until, started) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (step, attempts + 1, token + 1, "running", "[]", now + 60, now),
        ).fetchone()
        assert made
    with connection.transaction():
        now = time.time()
        execute(
            "UPDATE zenml_step_runs SET status='completed', ended=%s, result_key=cache_key WHERE id=%s AND token=%s",
            (now, step, token + 1),
        )
        execute("UPDATE zenml_attempts SET status='completed', ended=%s WHERE id=%s", (now, made[0]))
        content = (
            "output",
            f"/store/{step}",
            "/store",
            "a.A",
            "b.int",
            "m.M",
            json.dumps(["d" * 64]),
            "e" * 64,
            3,
        )
        execute(
            "INSERT INTO zenml_artifacts (step_run_id, position, name, uri, store, artifact_type, data_type, materializer, "
            "manifest, digest, size) VALUES (%s, 0, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING id",
            (step, *content),
        ).fetchone()


if __name__ == "__main__":
    main()
