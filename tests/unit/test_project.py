"""What holds for the repository as a whole."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
INSTALLERS = ("pip", "pip3", "pipx", "uv", "uvx", "poetry", "conda", "mamba", "pdm", "rye")
NO_SOURCE = (".git", ".hypothesis", ".venv", "build", "dist", "__pycache__")


def tracked_files() -> list[Path]:
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        # A checkout may belong to another user than the one who runs the tests.
        command = [git, "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    else:
        paths = []
        for folder, folders, names in os.walk(ROOT):
            folders[:] = [name for name in folders if name not in NO_SOURCE and not name.endswith("_cache")]
            paths += [Path(folder) / name for name in names]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def tracked_lines() -> list[tuple[str, str]]:
    """(place, line) of every tracked text file."""
    lines = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        lines += [(f"{name}:{number}", line) for number, line in enumerate(text.splitlines(), 1)]
    return lines


# The name on its own: no path, no file of a wheel, no longer name.
NAME = r"(?<![\w./-])zenml(?:\[[\w,\s-]*\])?(?![\w/.-]*\.(?:whl|tar\.gz)|[\w/.@-])"
INSTALLS = re.compile(
    rf"\b(?:{'|'.join(INSTALLERS)})\b['\"\s,]+(?:\S+['\"\s,]+)*?(?:install|add|download|wheel|run|sync)\b"
    rf"[^\n|;&#]*?{NAME}"
)
REQUIRES = re.compile(rf"^[\s\"'-]*{NAME}\s*(?:[=<>!~]=|[<>]|@\s)")
BARE_REQUIREMENT = re.compile(rf"^\s*{NAME}\s*(?:$|[;#])")


def installs_from_index(place: str, line: str) -> bool:
    """Whether `line` would take the distribution of our name from a package index, where it is not ours."""
    if INSTALLS.search(line) or REQUIRES.search(line):
        return True
    file = place.rpartition(":")[0].rpartition("/")[2]
    return bool(
        re.match(r"(requirements|constraints).*\.(txt|in|lock)$", file) and BARE_REQUIREMENT.match(line)
    )


OURS = "zen" + "ml"


@pytest.mark.parametrize(
    "line",
    [
        f"pip install {OURS}",
        f"pip install -U '{OURS}[all]'",
        f"uv pip install {OURS}==0.1.0",
        f'["pip", "install", "{OURS}"]',
        f"uv add {OURS}",
        f"RUN python -m pip install --no-cache-dir {OURS}",
        f'    "{OURS}>=0.1",',
        f"{OURS}==0.1.0",
    ],
)
def test_an_install_from_an_index_is_recognized(line):
    assert installs_from_index("README.md:1", line)


@pytest.mark.parametrize(
    "line",
    [
        "pip install -e .",
        'pip install -e ".[all]"',
        f"pip install dist/{OURS}-0.1.0-py3-none-any.whl",
        f"pip install ./{OURS}",
        f"pip install s3fs  # for {OURS}",
        f"{OURS} integration install sklearn",
        f"if {OURS}.__version__ == '0.1.0':",
    ],
)
def test_other_lines_are_left_alone(line):
    assert not installs_from_index("README.md:1", line)


def test_nothing_installs_the_project_from_an_index():
    this = Path(__file__).relative_to(ROOT).as_posix()
    found = [
        f"{place}: {line.strip()}"
        for place, line in tracked_lines()
        if not place.startswith(this) and installs_from_index(place, line)
    ]
    assert found == []


def test_ten_core_dependencies_at_the_most():
    requirements = importlib.metadata.requires("zenml") or []
    core = [requirement for requirement in requirements if "extra ==" not in requirement]
    assert 0 < len(core) <= 10


def test_ci_calls_what_the_readme_shows():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    commands = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert commands == [
        "set -euo pipefail",
        'cd "$(dirname "${BASH_SOURCE[0]}")/.."',
        "make test",
        "make test-engines",
    ]
    shown = (ROOT / "README.md").read_text().splitlines()
    assert {"make test", "make test-engines"} <= set(shown)


# Written so that they do not match themselves: this file is tracked too.
REGISTRIES = re.compile(r"pypi[.]org|pythonhosted[.]org|npmjs[.](?:org|com)|proxy[.]golang[.]org")
FOLDERS = re.compile(r"(?<![\w.~})-])(?:/(?:work|root|Users)/|/opt/(?:wheels|pypi))")


@pytest.mark.parametrize("foreign", [REGISTRIES, FOLDERS], ids=["registries", "folders of one machine"])
def test_no_file_names(foreign):
    assert [f"{place}: {line.strip()}" for place, line in tracked_lines() if foreign.search(line)] == []


def test_generated_pages_are_current():
    command = [sys.executable, str(ROOT / "docs" / "build.py"), "--check"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, f"run `make docs`:\n{finished.stdout}{finished.stderr}"
