"""Chains of tracked steps that do nothing (int to int), against the same calls, files and rows without a framework."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import sqlite3
import tempfile
import time
from pathlib import Path


def by_hand(length: int, folder: Path) -> float:
    """Seconds per step for: a row at the start, the function, a file with its digest, a row at the end."""
    connection = sqlite3.connect(folder / "by_hand.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("CREATE TABLE step (id INTEGER PRIMARY KEY, status TEXT, uri TEXT, digest TEXT)")
    started = time.perf_counter()
    for number in range(length):
        connection.execute("INSERT INTO step (status) VALUES ('running')")
        path = folder / "by_hand" / str(number)
        path.mkdir(parents=True)
        text = json.dumps(number + 1).encode()
        with (path / "data.json").open("wb") as file:
            file.write(text)
        connection.execute(
            "UPDATE step SET status = 'completed', uri = ?, digest = ? WHERE id = ?",
            (str(path), hashlib.sha256(text).hexdigest(), number + 1),
        )
    seconds = time.perf_counter() - started
    connection.close()
    return seconds / length


def main() -> None:
    """Print milliseconds per step."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["ZENML_CONFIG_PATH"] = home
        os.environ["ZENML_ENABLE_REPO_INIT_WARNINGS"] = "false"
        os.chdir(home)
        logging.getLogger("zenml").addHandler(logging.NullHandler())

        from zenml.pipelines import pipeline
        from zenml.steps import step

        @step
        def start() -> int:
            return 0

        @step
        def increase(value: int) -> int:
            return value + 1

        def chain_of(length: int, name: str) -> type:
            @pipeline(name=name)
            def chain() -> None:
                value = start()
                for _ in range(length - 1):
                    value = increase(value)

            return chain

        chain_of(2, "warm_up")().run()
        print("\nchain of no-op steps, milliseconds a step")
        print(f"  {'steps':>6} {'by hand':>9} {'tracked':>9} {'cached':>9} {'tracked / by hand':>19}")
        for length in (100, 1000, 10_000):
            hand = by_hand(length, Path(tempfile.mkdtemp(dir=home)))
            chain = chain_of(length, f"chain_{length}")()
            times = []
            for enable_cache in (False, True, True):
                began = time.perf_counter()
                chain.run(enable_cache=enable_cache)
                times.append((time.perf_counter() - began) / length)
            tracked, _, cached = times
            print(
                f"  {length:>6} {hand * 1000:>9.3f} {tracked * 1000:>9.3f} {cached * 1000:>9.3f} {tracked / hand:>17.1f} x"
            )
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"  peak memory of the process: {peak:.0f} MiB")
        print("  (aim: tracked at most 1 ms, cached at most 0.2 ms, the same at every length; 300 MiB)")


if __name__ == "__main__":
    main()
