"""Two runs that compute the same at the same time."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenml.repository import Repository

PROGRAM = """\
import os, sys, time
from pathlib import Path
from zenml.pipelines import pipeline
from zenml.steps import step

HERE = Path(__file__).parent

@step
def slow() -> int:
    with (HERE / "started").open("a") as file:
        file.write(f"{os.getpid()}\\n")
    while not (HERE / "go").exists():
        time.sleep(0.02)
    return 7

@step
def quick() -> int:
    return 1

@pipeline
def working():
    slow()
    quick()

working().run(run_name=sys.argv[1])
"""


@pytest.fixture
def program(home: Path) -> Path:
    path = Path("working.py").resolve()
    path.write_text(PROGRAM)
    return path


def until(condition: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def begun() -> list[str]:
    path = Path("started")
    return path.read_text().split() if path.exists() else []


def start(program: Path, name: str) -> subprocess.Popen[bytes]:
    log = Path(f"{name}.log").open("wb")  # noqa: SIM115 - the child's
    with log:
        return subprocess.Popen([sys.executable, program, name], stdout=log, stderr=log)


def statuses(name: str) -> dict[str, str]:
    run = Repository().get_pipeline("working").get_run(name)
    return {view.name: str(view.status) for view in run.steps}


def two_at_once(program: Path) -> tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]:
    """Two runs of the program: the first one executes the slow step, the second one waits for it."""
    first = start(program, "first")
    until(lambda: len(begun()) == 1)
    second = start(program, "second")
    until(lambda: "waits for another run that computes the same" in Path("second.log").read_text())
    return first, second


def test_they_compute_it_once(program: Path) -> None:
    first, second = two_at_once(program)
    Path("go").touch()
    assert (first.wait(60), second.wait(60)) == (0, 0)
    assert len(begun()) == 1
    # The second one did not idle: it had done the quick step when the first one came to it.
    assert statuses("first") == {"slow": "completed", "quick": "cached"}
    assert statuses("second") == {"slow": "cached", "quick": "completed"}
    slow = Repository().get_pipeline("working").get_run("second").get_step("slow")
    assert slow.output.read() == 7
    assert slow.source_step.run.name == "first"


def test_the_other_one_takes_over_if_the_first_dies(program: Path) -> None:
    first, second = two_at_once(program)
    first.kill()
    first.wait(60)
    until(lambda: len(begun()) == 2)
    Path("go").touch()
    assert second.wait(60) == 0
    assert statuses("first") == {"slow": "crashed", "quick": "skipped"}
    assert statuses("second") == {"slow": "completed", "quick": "completed"}
