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


def runs(text: str) -> bool:
    return any(_commands(block) for block in _BLOCK.finditer(text))


@pytest.mark.parametrize(
    "page",
    [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS if runs(page.read_text())],
)
def test_page_works(page: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for block in _BLOCK.finditer(page.read_text()):
        if name := _FILE.match(block["text"]):
            Path(name[1]).parent.mkdir(parents=True, exist_ok=True)
            Path(name[1]).write_text(block["text"])
        for command in _commands(block):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
            assert done.returncode == 0, (
                f"{shlex.join(command)}\n{block['text']}\n{done.stdout}{done.stderr}"
            )


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS])
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(_BLOCK.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []


def _commands(block: re.Match[str]) -> list[list[str]]:
    text = block["text"]
    if block["language"] == "python":
        if _FILE.match(text):
            return []
        script = Path(f"block_{block.start()}.py")
        # Written by the command itself, so that asking which commands there are leaves nothing behind.
        write_and_run = (
            f"import pathlib, runpy; pathlib.Path({str(script)!r}).write_text({text!r}); "
            f"import sys; sys.path.insert(0, ''); runpy.run_path({str(script)!r}, run_name='__main__')"
        )
        return [[sys.executable, "-c", write_and_run]]
    if block["language"]:
        return []
    return [shlex.split(line, comments=True) for line in text.splitlines() if line.startswith(("zenml ", "python "))]
