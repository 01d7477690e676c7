"""What the documents that the project was created from show: each command, its columns, messages and marks.

Rows are compared as sets, and lines that are wrapped are compared joined. Paths of the documents' author stand for those of the
test: /home/stefan for the home, /tmp/zenml for the project.
"""

import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml, own_imports

SEEDS = Path(__file__).parent / "seeds"
WARNING = "Unable to find ZenML repository in your current working directory"


@dataclass(frozen=True)
class Command:
    folder: str | None
    line: str
    output: str


def transcript(name: str) -> Iterator[Command]:
    text = (SEEDS / f"{name}.txt").read_text()
    for part in re.split(r"^(?=(?:/\S*)?\$ )", text, flags=re.MULTILINE):
        if part:
            prompt, _, output = part.partition("\n")
            folder, _, line = prompt.partition("$ ")
            yield Command(folder or None, line, output.strip("\n"))


@dataclass(frozen=True)
class Place:
    home: Path
    project: Path

    def translate(self, text: str) -> str:
        store = f"file://{self.home}/.config/zenml/profiles/"
        shown = "file:///home/stefan/.c…"
        text = text.replace(shown, f"{store[: len(shown) - 1]}…")
        text = text.replace("/tmp/zenml", str(self.project))
        return text.replace("(/tmp)", f"({self.project.parent})")

    def folder(self, name: str) -> Path:
        return self.project if name == "/tmp/zenml" else self.project.parent


def comparable(text: str) -> list[str]:
    """Tables line by line, their rows sorted; what stands between them as one line."""
    blocks: list[str] = []
    for is_table, lines in groups(text):
        blocks += (
            [*lines[:3], *sorted(lines[3:-1]), lines[-1]] if is_table else [" ".join(" ".join(lines).split())]
        )
    return blocks


def groups(text: str) -> Iterator[tuple[bool, list[str]]]:
    lines: list[str] = []
    for line in text.splitlines():
        if lines and (line[:1] in "┏┠┃┗") != (lines[0][:1] in "┏┠┃┗"):
            yield lines[0][:1] in "┏┠┃┗", lines
            lines = []
        lines.append(line)
    if lines:
        yield lines[0][:1] in "┏┠┃┗", lines


def replay(name: str, zenml: Zenml, place: Place) -> int:
    count = 0
    for command in transcript(name):
        if command.folder is not None:
            os.chdir(place.folder(command.folder))
        program, *arguments = shlex.split(command.line)
        if program == "cd":
            continue
        result = zenml(*arguments)
        expected = place.translate(command.output).splitlines()
        assert result.exit_code == 0, result.output
        for line in [line for line in expected if line.startswith(WARNING)]:
            assert line in result.stderr
            expected.remove(line)
        assert comparable(result.stdout) == comparable("\n".join(expected)), f"{name}: {command.line}"
        count += 1
    return count


@pytest.fixture
def place(home: Path) -> Place:
    return Place(home, Path.cwd())


def test_first_use(zenml: Zenml, place: Place) -> None:
    assert replay("first_use", zenml, place) == 1


def test_several_profiles_then_local_settings(zenml: Zenml, place: Place) -> None:
    zenml("profile", "list")
    assert replay("several_profiles", zenml, place) == 10
    assert replay("local_settings", zenml, place) == 9


def test_outside_a_repository(zenml: Zenml, place: Place) -> None:
    os.chdir(place.project.parent)
    zenml("profile", "list")
    assert replay("outside_a_repository", zenml, place) == 1


def test_what_init_writes(zenml: Zenml, place: Place) -> None:
    assert zenml("init").exit_code == 0
    assert [path.name for path in (place.project / ".zen").iterdir()] == ["config.yaml"]
    assert (
        place.project / ".zen/config.yaml"
    ).read_text() == "active_profile_name: default\nactive_stack_name: default\n"


CUSTOM = """\
from typing import ClassVar, Set

from zenml.artifact_stores import BaseArtifactStore


class MyCustomArtifactStore(BaseArtifactStore):
    \"\"\"Custom artifact store implementation.\"\"\"

    # Class configuration
    FLAVOR: ClassVar[str] = "custom"
    SUPPORTED_SCHEMES: ClassVar[Set[str]] = {"custom://"}

    ...
"""


def test_a_custom_flavor(quiet: Zenml, place: Place) -> None:
    package = place.project / "path"
    package.mkdir()
    (package / "to.py").write_text(CUSTOM)
    with own_imports():
        result = quiet("artifact-store", "flavor", "register", "path.to.MyCustomArtifactStore")
    assert result.stdout == (
        "Running with active profile: 'default' (local)\n"
        "Successfully registered new flavor 'custom' for stack component 'artifact_store'.\n"
    )
    listed = quiet("artifact-store", "flavor", "list").stdout.splitlines()
    assert "FLAVOR │ INTEGRATION │ READY-TO-USE │ SOURCE" in re.sub(" +", " ", listed[2])
    assert "┃ custom │             │ ✅           │ path.to.MyCustomArtifactStore" in listed[-2]


def test_components_and_a_stack_of_them(quiet: Zenml, place: Place) -> None:
    assert quiet("artifact-store", "list").stdout.count("default") >= 3
    store = place.project / "store"
    assert quiet("artifact-store", "register", "NAME", "--flavor=local", f"--path={store}").exit_code == 0
    assert (
        quiet("stack", "register", "STACK_NAME", "-o", "default", "-a", "NAME", "-m", "default").exit_code
        == 0
    )
    assert quiet("stack", "set", "STACK_NAME").stdout.endswith("Active stack set to: 'STACK_NAME'\n")
    rows = quiet("stack", "list").stdout.splitlines()[-3:-1]
    assert [row.split("│")[0].strip("┃ ") for row in rows] == ["👉", ""]
