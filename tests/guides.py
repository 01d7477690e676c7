"""Pages of docs/guide that need an engine: their `console` blocks are run in order, their files written."""

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def run_guide(name: str, replaced: Mapping[str, str] = {}) -> list[str]:
    """What each command of the page has printed. Words of it that are keys of `replaced` stand for their values."""
    page = (Path(__file__).parents[1] / "docs" / "guide" / f"{name}.md").read_text()
    for word, value in replaced.items():
        page = page.replace(word, value)
    printed = []
    for language, text in _BLOCK.findall(page):
        if language == "python":
            Path(text.split()[2]).write_text(text)
            continue
        for line in text.splitlines():
            program, *arguments = shlex.split(line)
            own = [] if program == "python" else ["-c", "from zenml.cli import main; main(prog_name='zenml')"]
            done = subprocess.run(
                [sys.executable, *own, *arguments], capture_output=True, text=True, check=False, timeout=300
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            printed.append(done.stdout)
    return printed
