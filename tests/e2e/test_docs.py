"""What the documents show works: each page's Python runs and its `zenml` commands are taken, in the order of the page.

A page is a user's session in one project folder. Blocks of Python run as scripts; one that begins with `# file: NAME` is written to that
file, and so are blocks of YAML that do. Of blocks without a language the lines that begin with `zenml` or `python` run.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# file: (\S+)\n")
_LINK = re.compile(r"\]\((?!\w+:|#)([^)#]+)")


_COMMANDS = """
import json, sys
from zenml.cli import main
for arguments in json.loads(sys.argv[1]):
    print("zenml", *arguments)
    try:
        main(arguments, prog_name="zenml")
    except SystemExit as end:
        if end.code:
            raise
"""


def is_run(page: Path) -> bool:
    return any(block["language"] in ("", "python") for block in _BLOCK.finditer(page.read_text()))


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS if is_run(page)]
)
def test_page_works(page: Path) -> None:
    for number, block in enumerate(_BLOCK.finditer(page.read_text()), 1):
        text = block["text"]
        if name := _FILE.match(text):
            Path(name[1]).write_text(text)
            continue
        if block["language"] == "python":
            Path(f"block_{number}.py").write_text(text)
            run([f"block_{number}.py"], text)
        elif not block["language"]:
            lines = [line for line in text.splitlines() if line.startswith(("zenml ", "python "))]
            for program, commands in groupby(
                (shlex.split(line, comments=True) for line in lines), itemgetter(0)
            ):
                if program == "zenml":
                    # In one process: starting one for each would take most of the time.
                    run(["-c", _COMMANDS, json.dumps([arguments for _, *arguments in commands])], text)
                else:
                    for _, *arguments in commands:
                        run(arguments, text)


def run(arguments: list[str], text: str) -> None:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in DOCUMENTS])
def test_links_lead_somewhere(page: Path) -> None:
    links = _LINK.findall(_BLOCK.sub("", page.read_text()))
    assert [link for link in links if not (page.parent / link).exists()] == []
