"""A step that prints a million lines, against the same function writing them to a file."""

from __future__ import annotations

import logging
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

LINES = 1_000_000
ROUNDS = 5


def main() -> None:
    """Print seconds and ratios: the step's terminal is /dev/null, its log keeps the first and the last lines."""
    with tempfile.TemporaryDirectory() as home:
        os.environ["ZENML_CONFIG_PATH"] = home
        os.environ["ZENML_ENABLE_REPO_INIT_WARNINGS"] = "false"
        os.chdir(home)
        logging.getLogger("zenml").addHandler(logging.NullHandler())

        from zenml.pipelines import pipeline
        from zenml.secret.known import remember
        from zenml.steps import step

        def lines() -> None:
            for number in range(LINES):
                print(f"line {number}: what a step says of itself in some sixty characters")

        seconds: dict[str, float] = {}

        @step(enable_cache=False)
        def talk() -> None:
            began = time.perf_counter()
            lines()
            sys.stdout.flush()
            seconds["step"] = time.perf_counter() - began

        @pipeline
        def talking() -> None:
            talk()

        def to_a_file() -> float:
            before = sys.stdout
            began = time.perf_counter()
            with Path(home, "lines.txt").open("w", encoding="utf-8") as file:
                sys.stdout = file
                try:
                    lines()
                finally:
                    sys.stdout = before
            return time.perf_counter() - began

        def in_a_step() -> float:
            before = sys.stdout
            with Path(os.devnull).open("w", encoding="utf-8") as terminal:
                sys.stdout = terminal
                try:
                    talking().run()
                finally:
                    sys.stdout = before
            return seconds["step"]

        print(f"\na step that prints {LINES:,} lines, seconds")
        print(f"  {'':<32} {'file':>7} {'step':>7} {'step / file':>12}")
        in_a_step()
        for title, secrets in (("without secrets", []), ("with 3 known secrets", _secrets())):
            remember(secrets)
            times = [(to_a_file(), in_a_step()) for _ in range(ROUNDS)]
            file, step_ = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"  {title:<32} {file:>7.3f} {step_:>7.3f} {step_ / file:>10.2f} x")
        print("  (aim: at most 1.5 x)")


def _secrets() -> list[str]:
    return ["correct-horse+battery/staple", "AKIA0123456789ABCDEF", 'p@ss "word" of a database']


if __name__ == "__main__":
    main()
