"""Start-up: `zenml stack list` and `zenml --help` against importing the libraries that they cannot do without."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import interleaved, report

BARE = [sys.executable, "-c", "import click, rich.table, yaml"]
ZENML = str(Path(sys.executable).with_name("zenml"))


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "HOME": home, "ZENML_CONFIG_PATH": home}

        def run(command: list[str]) -> None:
            subprocess.run(command, check=True, capture_output=True, env=environment, cwd=home)

        run([ZENML, "stack", "list"])  # the first use makes the default profile
        times = interleaved(
            {
                "bare imports": lambda: run(BARE),
                "zenml --help": lambda: run([ZENML, "--help"]),
                "zenml stack list": lambda: run([ZENML, "stack", "list"]),
            },
            rounds=15,
        )
    report(
        "start-up (a process each)",
        times,
        against="bare imports",
        limits={"zenml --help": 1.5, "zenml stack list": 1.5},
    )


if __name__ == "__main__":
    main()
