"""One array of 1 GiB handed through two steps, against writing and reading it with NumPy plus the digests.

A process each, for the peak of memory.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

from benchmarks.measuring import report

BYTES = 1 << 30

_BARE = """
import hashlib, numpy as np
def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else None
{begin}
array = np.ones({size} // 8)
np.save("a.npy", array)
written = digest("a.npy")
del array
assert digest("a.npy") == written
array = np.load("a.npy")
total = float(array.sum())
{end}
"""

_PIPELINE = """
import logging, numpy as np
logging.getLogger("zenml").addHandler(logging.NullHandler())
from zenml.pipelines import pipeline
from zenml.steps import step
@step
def small() -> int:
    return 1
@step
def make() -> np.ndarray:
    return np.ones({size} // 8)
@step
def add(array: np.ndarray) -> float:
    return float(array.sum())
@pipeline
def warm():
    small()
@pipeline
def large():
    add(make())
warm().run()
{begin}
large().run()
{end}
"""

_BEGIN = "import time, resource; t = time.perf_counter()"
_END = "print(time.perf_counter() - t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"


def _measure(code: str, home: str) -> tuple[float, float]:
    environment = {**os.environ, "ZENML_CONFIG_PATH": home, "ZENML_ENABLE_REPO_INIT_WARNINGS": "false"}
    text = code.format(size=BYTES, begin=_BEGIN, end=_END)
    done = subprocess.run(
        [sys.executable, "-c", text], check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=home
    )
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


def main() -> None:
    """Print times and peaks of memory."""
    times: dict[str, list[float]] = {"bare": [], "pipeline": []}
    peaks: dict[str, float] = {}
    for _ in range(3):
        for name, code in (("bare", _BARE), ("pipeline", _PIPELINE)):
            with tempfile.TemporaryDirectory() as home:
                seconds, peaks[name] = _measure(code, home)
                times[name].append(seconds)
    report(
        "an array of 1 GiB through two steps",
        {name: min(values) for name, values in times.items()},
        against="bare",
        limits={"pipeline": 1.3},
    )
    print(
        f"  peak memory: bare {peaks['bare'] / 2**20:.0f} MiB, pipeline {peaks['pipeline'] / 2**20:.0f} MiB, "
        f"ratio {peaks['pipeline'] / peaks['bare']:.2f} (aim: at most 1.2)"
    )


if __name__ == "__main__":
    main()
