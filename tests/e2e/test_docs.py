"""What the documents show works: every block of Python in them runs, every `zenml` command in them is taken."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[object]:
    found = []
    for document in DOCUMENTS:
        name = document.relative_to(ROOT)
        for number, block in enumerate(_BLOCK.finditer(document.read_text()), 1):
            if block["language"] == language:
                found.append(pytest.param(block["text"], id=f"{name}#{number}"))
    return found


@pytest.mark.parametrize("text", blocks("python"))
def test_python_runs(text: str, tmp_path: Path) -> None:
    script = tmp_path / "project" / "block.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, script.name], cwd=script.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("text", blocks(""))
def test_commands_run(text: str) -> None:
    commands = [line.partition("#")[0].strip() for line in text.splitlines() if line.startswith("zenml ")]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(command.split(), capture_output=True, text=True, check=False, env=environment)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
