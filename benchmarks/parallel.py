"""Steps in worker processes: CPU-bound ones with two workers against one, and the cost of handing over steps that do nothing."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context


def work(rounds: int) -> int:
    """Something that takes a core, and nothing else."""
    value = 0
    for number in range(rounds):
        value = (value * 31 + number) % 1_000_003
    return value


def rounds_of(seconds: float) -> int:
    """How many rounds take that long on a core of their own."""
    rounds = 1_000_000
    began = time.process_time()
    work(rounds)
    return int(rounds * seconds / (time.process_time() - began))


def by_hand(workers: int, count: int, rounds: int) -> float:
    """Seconds for the same calls in processes that know nothing of steps."""
    began = time.perf_counter()
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(work, [rounds] * count))
    return time.perf_counter() - began


def main() -> None:
    """Print seconds, their ratios, and milliseconds a step."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["ZENML_CONFIG_PATH"] = home
        os.environ["ZENML_ENABLE_REPO_INIT_WARNINGS"] = "false"
        logging.getLogger("zenml").addHandler(logging.NullHandler())

        from zenml.orchestrators import LocalOrchestrator
        from zenml.pipelines import pipeline
        from zenml.repository import Repository
        from zenml.stack import Stack
        from zenml.steps import step

        repository = Repository()
        active = repository.active_stack
        for workers in (1, 2):
            orchestrator = LocalOrchestrator(name=f"workers-{workers}", max_workers=workers)
            repository.register_stack(
                Stack(
                    orchestrator.name,
                    orchestrator=orchestrator,
                    metadata_store=active.metadata_store,
                    artifact_store=active.artifact_store,
                )
            )

        @step
        def busy(rounds: int) -> int:
            return work(rounds)

        @step
        def nothing(number: int) -> int:
            return number

        def seconds_for(count: int, workers: int, use: type, argument: int, name: str) -> float:
            @pipeline(name=name, enable_cache=False)
            def fan_out() -> None:
                for _ in range(count):
                    use(argument)

            repository.activate_stack(f"workers-{workers}")
            made = fan_out()
            began = time.perf_counter()
            made.run()
            return time.perf_counter() - began

        seconds_for(2, 1, nothing, 0, "warm_up")
        rounds = rounds_of(1.0)
        print("\neight CPU-bound steps of a second each, seconds")
        print(f"  {'workers':>8} {'processes by hand':>18} {'steps':>8}")
        hand = {workers: by_hand(workers, 8, rounds) for workers in (1, 2)}
        ours = {workers: seconds_for(8, workers, busy, rounds, "busy") for workers in (1, 2)}
        for workers in (1, 2):
            print(f"  {workers:>8} {hand[workers]:>18.2f} {ours[workers]:>8.2f}")
        print(
            f"  {'faster':>8} {hand[1] / hand[2]:>16.2f} x {ours[1] / ours[2]:>6.2f} x   (aim: at least 1.8 x)"
        )

        count = 1000
        print(f"\n{count} no-op steps, milliseconds a step")
        for workers in (1, 2):
            each = seconds_for(count, workers, nothing, 0, "fan_out") / count
            print(
                f"  {workers} worker{'s' if workers > 1 else ''}: {each * 1000:.2f}"
                + "   (aim: below 3 ms)" * (workers > 1)
            )


if __name__ == "__main__":
    main()
