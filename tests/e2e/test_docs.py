"""What the documents show works: each page's Python runs and its `zenml` commands are taken, in the order of the page.

A page is a user's session in one project folder. Blocks of Python run as scripts; one that begins with `# file: NAME` is written to that
file, and so are blocks of YAML that do. Of blocks without a language the lines that begin with `zenml` or `python` run.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# file: (\S+)\n")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)")


def is_run(page: Path) -> bool:
    return any(block["language"] in ("", "python") for block in _BLOCK.finditer(page.read_text()))


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS if is_run(page)]
)
def test_page_works(page: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for number, block in enumerate(_BLOCK.finditer(page.read_text()), 1):
        text = block["text"]
        if name := _FILE.match(text):
            Path(name[1]).write_text(text)
            continue
        commands = []
        if block["language"] == "python":
            script = Path(f"block_{number}.py")
            script.write_text(text)
            commands = [[sys.executable, script.name]]
        elif not block["language"]:
            lines = [line for line in text.splitlines() if line.startswith(("zenml ", "python "))]
            commands = [shlex.split(line, comments=True) for line in lines]
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            assert done.returncode == 0, f"{command}\n{text}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS])
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(_BLOCK.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []
