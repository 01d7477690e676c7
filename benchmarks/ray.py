"""500 steps that do nothing: on a Ray cluster, and as plain Ray tasks that make the same reads and writes."""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

COUNT = 500
ROUNDS = 3
NODES = ("127.0.0.2", "127.0.0.3")


@contextmanager
def cluster(folder: Path) -> Iterator[str]:
    """The address of a cluster of two nodes, one core each."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{NODES[0]}:{free.getsockname()[1]}"
    head = [
        "--head",
        f"--port={address.rpartition(':')[2]}",
        "--include-dashboard=false",
        f"--temp-dir={folder}/ray",
    ]
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for node, arguments in zip(NODES, (head, [f"--address={address}"]), strict=True):
            log = folder / f"{node}.log"
            command = [
                str(Path(sys.executable).parent / "ray"),
                "start",
                "--block",
                "--num-cpus=1",
                "--disable-usage-stats",
            ]
            with log.open("wb") as file:
                processes.append(
                    subprocess.Popen(
                        [*command, f"--node-ip-address={node}", *arguments],
                        stdout=file,
                        stderr=file,
                        start_new_session=True,
                    )
                )
            while b"Ray runtime started" not in log.read_bytes():
                if processes[-1].poll() is not None:
                    raise SystemExit(log.read_text())
                time.sleep(0.05)
        yield address
    finally:
        for process in processes:
            os.killpg(process.pid, signal.SIGTERM)
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


def by_hand_in_process(address: str, connection: Connection) -> None:
    """Ray's driver, connected once for all rounds, as is that of the steps."""
    import logging

    import ray

    ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    task = ray.remote(by_hand)
    while folder := connection.recv():
        path = f"{folder}/hand.db"
        found = ray.get([task.remote(n, folder, f"values/{n}.1/output", path) for n in range(COUNT)])
        connection.send(found == list(range(COUNT)))
    ray.shutdown()


@contextmanager
def hand(address: str) -> Iterator[Connection]:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=by_hand_in_process, args=(address, there))
    process.start()
    try:
        yield here
    finally:
        here.send("")
        process.join()


def seconds_by_hand(driver: Connection, folder: Path) -> float:
    import sqlite3

    with sqlite3.connect(folder / "hand.db") as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, status TEXT)")
        connection.execute("CREATE TABLE attempts (id INTEGER PRIMARY KEY, step INTEGER, status TEXT)")
        connection.execute(
            "CREATE TABLE artifacts (id INTEGER PRIMARY KEY, step INTEGER, uri TEXT, digest TEXT)"
        )
        connection.executemany("INSERT INTO steps VALUES (?, 'pending')", [(n,) for n in range(COUNT)])
    began = time.perf_counter()
    driver.send(str(folder))
    assert driver.recv()
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
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from zenml.integrations.ray.orchestrators import RayOrchestrator
    from zenml.orchestrators import LocalOrchestrator

    with (
        # The names of Ray's sockets must be short.
        tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as name,
        cluster(Path(name)) as address,
        hand(address) as driver,
    ):
        folder = Path(name)
        plain, local, ours = [], [], []
        for number in range(ROUNDS + 1):
            (folder / f"hand-{number}").mkdir()
            plain.append(seconds_by_hand(driver, folder / f"hand-{number}"))
            workers = LocalOrchestrator(name="workers", max_workers=2)
            local.append(seconds_for_steps(workers, folder / f"local-{number}"))
            orchestrator = RayOrchestrator(name="ray", address=address)
            ours.append(seconds_for_steps(orchestrator, folder / f"ray-{number}"))
    print(f"\n{COUNT} no-op steps on two nodes, seconds (median of {ROUNDS}; the first time beside it)")
    for label, seconds in (
        ("plain Ray tasks, same writes", plain),
        ("orchestrator local", local),
        ("orchestrator ray", ours),
    ):
        print(f"  {label:<30} {statistics.median(seconds[1:]):>6.2f} {seconds[0]:>10.2f}")
    ratio = statistics.median(o / p for o, p in zip(ours[1:], plain[1:], strict=True))
    print(f"  ray / plain tasks              {ratio:>6.2f} {ours[0] / plain[0]:>10.2f}   (aim: at most 1.5)")
