"""Times of things done side by side, and how they compare."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping


def interleaved(actions: Mapping[str, Callable[[], object]], *, rounds: int) -> dict[str, float]:
    """Median seconds of each action. Rounds are interleaved, so that what else the machine does hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            started = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def report(
    title: str, times: Mapping[str, float], *, against: str, limits: Mapping[str, float] | None = None
) -> None:
    """Print each time and its ratio to that of `against`; `limits` are the ratios that we aim for."""
    print(f"\n{title}")
    for name, seconds in times.items():
        ratio = seconds / times[against]
        aim = f"   (aim: at most {limits[name]:g})" if limits and name in limits else ""
        print(f"  {name:<44} {seconds * 1000:>10.2f} ms   {ratio:>7.2f} x{aim}")
