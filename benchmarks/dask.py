"""500 steps that do nothing: on a Dask cluster, and as plain Dask tasks that make the same reads and writes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COUNT = 500
ROUNDS = 3


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a scheduler with two workers, one thread each."""
    file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
    dask = [sys.executable, "-m", "dask"]
    where = ["--scheduler-file", str(file), "--host", "127.0.0.1", "--no-dashboard"]
    processes = [
        subprocess.Popen([*dask, "scheduler", "--port", "0", *where], **quiet),  # type: ignore[call-overload]
        *(
            subprocess.Popen([*dask, "worker", *where, "--nthreads", "1", "--no-nanny"], **quiet)  # type: ignore[call-overload]
            for _ in range(2)
        ),
    ]
    try:
        from distributed import Client

        while not file.exists():
            time.sleep(0.05)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
            yield str(client.scheduler.address)
    finally:
        for process in processes:
            process.terminate()
            process.wait()


def by_hand(number: int, folder: str, uri: str, path: str) -> int:
    """What a tracked step reads and writes: its state in the database, twice, an artifact, and what it is made of."""
    import hashlib
    import json
    import sqlite3

    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO attempts (step, status) VALUES (?, 'running')", (number,))
    connection.execute("UPDATE steps SET status = 'running' WHERE id = ?", (number,))
    connection.execute("COMMIT")
    place = Path(folder) / uri
    place.mkdir(parents=True)
    content = json.dumps(number).encode()
    (place / "value.json").write_bytes(content)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE attempts SET status = 'completed' WHERE step = ?", (number,))
    connection.execute("UPDATE steps SET status = 'completed' WHERE id = ?", (number,))
    connection.execute(
        "INSERT INTO artifacts (step, uri, digest) VALUES (?, ?, ?)",
        (number, str(place), hashlib.sha256(content).hexdigest()),
    )
    connection.execute("COMMIT")
    connection.close()
    return number


def seconds_by_hand(address: str, folder: Path) -> float:
    import sqlite3

    from distributed import Client

    path = str(folder / "hand.db")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, status TEXT)")
        connection.execute("CREATE TABLE attempts (id INTEGER PRIMARY KEY, step INTEGER, status TEXT)")
        connection.execute(
            "CREATE TABLE artifacts (id INTEGER PRIMARY KEY, step INTEGER, uri TEXT, digest TEXT)"
        )
        connection.executemany("INSERT INTO steps VALUES (?, 'pending')", [(n,) for n in range(COUNT)])
    began = time.perf_counter()
    with Client(address, set_as_default=False) as client:
        futures = [
            client.submit(by_hand, n, str(folder), f"values/{n}.1/output", path, pure=False)
            for n in range(COUNT)
        ]
        assert sorted(client.gather(futures)) == list(range(COUNT))
    return time.perf_counter() - began


def seconds_for_steps(orchestrator: object, folder: Path) -> float:
    from zenml.pipelines import pipeline
    from zenml.steps import step
    from zenml.testing.isolation import isolated_stack

    @step
    def nothing(number: int) -> int:
        return number

    @pipeline(enable_cache=False)
    def fan_out() -> None:
        for number in range(COUNT):
            nothing(number)

    with isolated_stack(folder, orchestrator=orchestrator):  # type: ignore[arg-type]
        made = fan_out()
        began = time.perf_counter()
        made.run()
        return time.perf_counter() - began


def main() -> None:
    """Print seconds, and their ratio."""
    import logging

    logging.getLogger("zenml").addHandler(logging.NullHandler())
    os.environ["ZENML_ENABLE_REPO_INIT_WARNINGS"] = "false"
    from zenml.integrations.dask.orchestrators import DaskOrchestrator
    from zenml.orchestrators import LocalOrchestrator

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, cluster(Path(name)) as address:
        folder = Path(name)
        hand, local, ours = [], [], []
        for number in range(ROUNDS):
            (folder / f"hand-{number}").mkdir()
            hand.append(seconds_by_hand(address, folder / f"hand-{number}"))
            local.append(
                seconds_for_steps(
                    LocalOrchestrator(name="workers", max_workers=2), folder / f"local-{number}"
                )
            )
            ours.append(
                seconds_for_steps(DaskOrchestrator(name="dask", address=address), folder / f"dask-{number}")
            )
    print(f"\n{COUNT} no-op steps on two workers, seconds (median of {ROUNDS})")
    for label, seconds in (
        ("plain Dask tasks, same writes", hand),
        ("orchestrator local", local),
        ("orchestrator dask", ours),
    ):
        print(f"  {label:<30} {statistics.median(seconds):>6.2f}")
    ratio = statistics.median(o / h for o, h in zip(ours, hand, strict=True))
    print(f"  dask / plain tasks             {ratio:>6.2f}   (aim: at most 1.5)")


if __name__ == "__main__":
    main()
