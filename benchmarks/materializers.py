"""What it costs to keep a value, next to writing the same bytes by hand."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measuring import interleaved, report

SMALL = 500
GIBIBYTE = 1 << 30


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        small_values(folder)
        large_array(folder)


def small_values(folder: str) -> None:
    from zenml.artifact_stores import LocalArtifactStore
    from zenml.materializers.values import check_present, read_value, write_value

    store = LocalArtifactStore(name="store", path=f"{folder}/store")
    numbers = itertools.count()
    records = []

    def by_hand() -> None:
        for _ in range(SMALL):
            where = f"{folder}/hand/runs/run/step/{next(numbers)}/output"
            os.makedirs(where)  # noqa: PTH103 - as fast as it can be done
            content = json.dumps(7).encode()
            with open(f"{where}/data.json", "wb") as file:  # noqa: PTH123 - the same
                file.write(content)
            hashlib.sha256(content).hexdigest()

    def written() -> None:
        for _ in range(SMALL):
            where = f"{store.path}/runs/run/step/{next(numbers)}/output"
            records.append(write_value("output", 7, where, store))

    def read_by_hand() -> None:
        for record in records[:SMALL]:
            with open(f"{record.uri}/data.json", "rb") as file:  # noqa: PTH123 - the same
                content = file.read()
            assert hashlib.sha256(content).hexdigest() == record.manifest[0].sha256
            json.loads(content)

    def read() -> None:
        for record in records[:SMALL]:
            read_value(record, store)

    def checked() -> None:
        for record in records[:SMALL]:
            check_present(record, store)

    times = interleaved({"folders, json, open, hashlib": by_hand, "write_value": written}, rounds=7)
    report("an int, written", per_value(times), against="folders, json, open, hashlib")
    times = interleaved(
        {"open, hashlib, json": read_by_hand, "read_value": read, "check_present": checked}, rounds=7
    )
    report("an int, read", per_value(times), against="open, hashlib, json")


def per_value(times: dict[str, float]) -> dict[str, float]:
    return {name: seconds / SMALL for name, seconds in times.items()}


def large_array(folder: str) -> None:
    import numpy as np

    from zenml.artifact_stores import LocalArtifactStore
    from zenml.materializers.values import read_value, write_value

    store = LocalArtifactStore(name="store", path=f"{folder}/store")
    array = np.random.default_rng(0).random(GIBIBYTE // 8)
    by_hand = Path(folder, "hand.npy")
    by_hand.unlink(missing_ok=True)
    records: list[Any] = []

    def written_by_hand() -> None:
        np.save(by_hand, array)
        digest(by_hand)

    def read_by_hand() -> None:
        digest(by_hand)
        np.load(by_hand)

    def written() -> None:
        records.append(write_value("output", array, f"{store.path}/array", store))

    # Each writes a new file: to replace one costs as much again.
    times = interleaved(
        {
            "np.save, sha256": written_by_hand,
            "sha256, np.load": read_by_hand,
            "remove": by_hand.unlink,
            "write_value": written,
            "read_value": lambda: read_value(records[-1], store),
            "remove the other": lambda: store.rmtree(records[-1].uri),
        },
        rounds=3,
    )
    for title, bare, kept in (
        ("written", "np.save, sha256", "write_value"),
        ("read", "sha256, np.load", "read_value"),
    ):
        report(f"a 1 GiB array, {title}", {name: times[name] for name in (bare, kept)}, against=bare)
    peaks = {name: peak(name, folder) for name in ("by hand", "write_value")}
    print(
        f"  peak memory while writing: {peaks['write_value'] / peaks['by hand']:.3f} x that of np.save and sha256"
    )


def digest(path: Path) -> None:
    sha256 = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 18))
    with path.open("rb") as file:
        while size := file.readinto(buffer):  # type: ignore[attr-defined]
            sha256.update(buffer[:size])


def peak(name: str, folder: str) -> int:
    """Kibibytes that a process needs at most to make and write an array."""
    return int(
        subprocess.run(
            [sys.executable, "-m", "benchmarks.materializers", name, folder],
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
    )


def write_once(name: str, folder: str) -> None:
    import numpy as np

    from zenml.artifact_stores import LocalArtifactStore
    from zenml.materializers.values import write_value

    array = np.ones(GIBIBYTE // 8)
    if name == "by hand":
        np.save(f"{folder}/hand.npy", array)
        digest(Path(f"{folder}/hand.npy"))
    else:
        write_value(
            "output", array, f"{folder}/store/once", LocalArtifactStore(name="store", path=f"{folder}/store")
        )
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    write_once(*sys.argv[1:]) if len(sys.argv) > 1 else main()
