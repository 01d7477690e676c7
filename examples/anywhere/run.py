"""One pipeline for every stack: run it, `zenml stack set` another one, and run it again. The digests of what it makes are the same.

python examples/anywhere/run.py
"""

from __future__ import annotations

import numpy as np

from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import step


@step
def size() -> int:
    """Give the number of rows."""
    return 64


@step
def draw(rows: int, seed: int = 7) -> np.ndarray:
    """Draw samples of three quantities."""
    return np.random.default_rng(seed).normal(size=(rows, 3))


@step
def spread(samples: np.ndarray) -> np.ndarray:
    """Give the standard deviation of each quantity."""
    return samples.std(axis=0)


@step
def largest(values: np.ndarray) -> float:
    """Give the largest of the values."""
    return float(values.max())


@step
def report(rows: int, value: float) -> str:
    """Say it in words."""
    return f"the largest deviation of {rows} samples: ±{value:.3f}"


@pipeline
def anywhere() -> None:
    """Every kind of value, along a chain and beside it."""
    rows = size()
    report(rows, largest(spread(draw(rows))))


if __name__ == "__main__":
    run = anywhere().run()
    print(f"stack:   {Repository().active_stack.name}")
    print(f"result:  {run.get_step('report').output.read()}")
    for one in run.steps:
        print(f"{one.name:8} {one.status:10} {one.output.digest}")
