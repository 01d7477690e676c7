"""The run that is killed: twenty steps, each of which writes down when it begins and when it ends."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

from zenml.context import running_step
from zenml.pipelines import pipeline
from zenml.steps import step

JOURNAL = "JOURNAL"
"""The variable that names the file that steps write into."""


def journal(event: str) -> None:
    if (running := running_step()) and (path := os.environ.get(JOURNAL)):
        # One write at the end of the file: whole, whoever else writes, and there even if the process is killed right after.
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, f"{running.run_name} {running.step_name} {event}\n".encode())
        os.close(file)


def starts(path: Path) -> Counter[str]:
    """How often each step was begun, whichever run it was begun in."""
    if not path.exists():
        return Counter()
    lines = (line.split() for line in path.read_text().splitlines())
    return Counter(step for _, step, event in lines if event == "start")


def work(*parts: bytes) -> bytes:
    """Some milliseconds of computing; the result depends on all of `parts`."""
    return hashlib.pbkdf2_hmac("sha256", b"".join(parts), b"", 5_000)


@step
def load(seed: int, number: int) -> bytes:
    journal("start")
    content = work(f"{seed}/{number}".encode()) * 5_000
    journal("end")
    return content


@step
def clean(data: bytes) -> dict[str, list[int]]:
    journal("start")
    result = {"numbers": list(work(data))}
    journal("end")
    return result


@step
def train(left: dict[str, list[int]], right: dict[str, list[int]], depth: int) -> bytes:
    journal("start")
    result = work(bytes(left["numbers"]), bytes(right["numbers"]), bytes([depth])) * 500
    journal("end")
    return result


@step
def join(left: bytes, right: bytes) -> str:
    journal("start")
    result = work(left, right).hex()
    journal("end")
    return result


@pipeline
def twenty(seed: int):
    cleaned = [clean(load(seed=seed, number=n, id=f"load_{n}"), id=f"clean_{n}") for n in range(4)]
    trained = [train(cleaned[n % 4], cleaned[(n + 1) % 4], depth=n, id=f"train_{n}") for n in range(8)]
    for n in range(4):
        join(trained[2 * n], trained[2 * n + 1], id=f"join_{n}")


STEPS = 20


def expected(seed: int) -> dict[str, Any]:
    """What each step of `twenty` gives, computed without the engine."""
    loaded = [load.entrypoint(seed, n) for n in range(4)]
    cleaned = [clean.entrypoint(data) for data in loaded]
    trained = [train.entrypoint(cleaned[n % 4], cleaned[(n + 1) % 4], n) for n in range(8)]
    joined = [join.entrypoint(trained[2 * n], trained[2 * n + 1]) for n in range(4)]
    lists = {"load": loaded, "clean": cleaned, "train": trained, "join": joined}
    return {f"{name}_{n}": value for name, values in lists.items() for n, value in enumerate(values)}


@pipeline
def few():
    data = clean(load(seed=0, number=1))
    train(data, data, depth=1)


EXPECTED_FEW = {
    "load": (loaded := load.entrypoint(0, 1)),
    "clean": (cleaned := clean.entrypoint(loaded)),
    "train": train.entrypoint(cleaned, cleaned, 1),
}


def run_few(name: str) -> None:
    few().run(run_name=name)


def run(seed: int, name: str) -> None:
    twenty(seed=seed).run(run_name=name)


def resume(seed: int, name: str) -> None:
    twenty(seed=seed).resume(name)
