"""Measure: `python -m benchmarks` does all, `python -m benchmarks NAME` one. Each prints its times next to the same work without us."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

ALL = sorted(
    path.stem for path in Path(__file__).parent.glob("[a-z]*.py") if "\ndef main(" in path.read_text()
)


def main(names: list[str]) -> int:
    if unknown := [name for name in names if name not in ALL]:
        print(f"There is no benchmark {', '.join(unknown)}. Known: {', '.join(ALL)}.", file=sys.stderr)
        return 2
    if len(names) == 1:
        import_module(f"benchmarks.{names[0]}").main()
        return 0
    # A process each: they change the environment, and measure memory.
    commands = [[sys.executable, "-m", "benchmarks", name] for name in names or ALL]
    return max(subprocess.run(command, check=False).returncode for command in commands)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
