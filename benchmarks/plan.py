"""Planning chains of steps, against running them cached: nothing is executed, so that it should take less."""

from __future__ import annotations

import logging
import time

from zenml.pipelines import pipeline
from zenml.steps import step
from zenml.testing import isolated_stack


@step
def start() -> int:
    """Begin a chain."""
    return 0


@step
def increase(value: int, by: int = 1) -> int:
    """Go on with it."""
    return value + by


def chain_of(length: int, by: int = 1) -> type:
    """A pipeline that is a chain of so many steps."""

    @pipeline(name=f"chain_{length}")
    def chain() -> None:
        value = start()
        for position in range(length - 1):
            value = increase(value, by=by if position == 0 else 1)

    return chain


def main() -> None:
    """Print seconds."""
    logging.getLogger("zenml").addHandler(logging.NullHandler())
    print("\nplanning a chain of no-op steps, seconds")
    print(
        f"  {'steps':>6} {'new':>8} {'cached':>8} {'changed':>8} {'run, cached':>12} {'cached: plan / run':>20}"
    )
    for length in (100, 1000, 10_000):
        with isolated_stack():
            times = []
            for act in (
                chain_of(length)().plan,
                chain_of(length)().run,
                chain_of(length)().plan,
                chain_of(length, by=2)().plan,
                chain_of(length)().run,
            ):
                began = time.perf_counter()
                act()
                times.append(time.perf_counter() - began)
            new, _, cached, changed, run = times
            print(
                f"  {length:>6} {new:>8.3f} {cached:>8.3f} {changed:>8.3f} {run:>12.3f} {cached / run:>18.2f} x"
            )
    print("  (aim: 10,000 steps in less than 2 s)")


if __name__ == "__main__":
    main()
