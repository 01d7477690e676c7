"""`zenml pipeline runs logs`."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml
from tests.cli.test_general import PROGRAM
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import Retry, step

HEADER = "Running with active profile: 'default' (local)\nRunning with active stack: 'default'\n"


@step
def load() -> int:
    print("loading")  # noqa: T201
    return 2


@step
def quiet_one(number: int) -> int:
    return number


@step
def each(number: int) -> int:
    for line in range(number):
        print(f"item {number}, line {line}")  # noqa: T201
    return number


@step(retries=Retry(attempts=2))
def flaky(number: int) -> None:
    print("trying")  # noqa: T201
    raise ConnectionError("nobody there")


@pipeline
def talking() -> None:
    flaky(quiet_one(load()))


@pipeline
def spreading() -> None:
    each.map(number=[1, 2])


@pytest.fixture
def talked(quiet: Zenml) -> Zenml:
    for name in ("first", "second"):
        with pytest.raises(ConnectionError):
            talking().run(run_name=name)
    return quiet


def test_all_logs_of_a_run(talked: Zenml) -> None:
    result = talked("pipeline", "runs", "logs", "second")
    assert result.stderr == HEADER
    error = '    raise ConnectionError("nobody there")\nConnectionError: nobody there\n'
    head, *frames = result.stdout.split("Traceback (most recent call last):\n")
    assert head == (
        "==> load (cached: the log of the run 'first')\n"
        "loading\n"
        "==> quiet_one (cached: the log of the run 'first')\n"
        "`quiet_one` has printed nothing.\n"
        "==> flaky (attempt 2)\n"
        "trying\n"
    )
    assert frames[0].endswith(error)


def test_the_log_of_a_step(talked: Zenml) -> None:
    result = talked("pipeline", "runs", "logs", "first", "load")
    assert (result.stdout, result.stderr) == ("loading\n", HEADER)
    result = talked("pipeline", "runs", "logs", "first", "flaky", "-n", "1")
    assert result.stdout == "ConnectionError: nobody there\n"
    assert result.stderr == f"{HEADER}==> flaky (attempt 2)\n"
    assert talked("pipeline", "runs", "logs", "first", "flaky", "--attempt", "1").stderr == HEADER
    run = Repository().get_pipeline("talking").runs[0]  # type: ignore[union-attr]
    assert run.get_step("load").logs == "loading\n"
    assert run.get_step("quiet_one").logs is None


def test_the_logs_of_a_mapped_step(quiet: Zenml) -> None:
    spreading().run(run_name="spread")
    both = "==> each[0]\nitem 1, line 0\n==> each[1]\nitem 2, line 0\nitem 2, line 1\n"
    assert quiet("pipeline", "runs", "logs", "spread").stdout == both
    assert quiet("pipeline", "runs", "logs", "spread", "each").stdout == both
    assert quiet("pipeline", "runs", "logs", "spread", "each[0]").stdout == "item 1, line 0\n"
    assert quiet("pipeline", "runs", "logs", "spread", "--follow", "-n", "1").stdout == (
        "==> each[0]\nitem 1, line 0\n==> each[1]\nitem 2, line 1\n"
    )


def test_a_missing_log_is_said(talked: Zenml) -> None:
    result = talked("pipeline", "runs", "logs", "first", "quiet_one")
    assert (result.stdout, result.stderr) == ("", f"{HEADER}`quiet_one` has printed nothing.\n")
    run = Repository().get_pipeline("talking").runs[0]  # type: ignore[union-attr]
    folder = Path(Repository().active_stack.artifact_store.path, "runs", str(run.uuid))
    shutil.rmtree(folder)
    for name, number in (("load", 1), ("flaky", 2)):
        result = talked("pipeline", "runs", "logs", "first", name)
        assert "is gone" in result.stderr
        assert f"{folder}/{name}.{number}/log.txt" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("first", "laod"), "Error: The run has no step 'laod'. Did you mean 'load'?\n"),
        (("first", "load[3]"), "Error: The step 'load' has no instance 3: it has 0 of them.\n"),
        (("fisrt",), "Error: There is no run 'fisrt' on the active stack. Did you mean 'first'?\n"),
        (
            ("first", "flaky", "--attempt", "3"),
            "Error: The step 'flaky' has no attempt 3: it was started 2 times.\n",
        ),
        (
            ("first", "--attempt", "3"),
            "Error: --attempt is for the log of one STEP, without --follow.\n",
        ),
    ],
)
def test_what_is_not_there(talked: Zenml, arguments: tuple[str, ...], message: str) -> None:
    result = talked("pipeline", "runs", "logs", *arguments)
    assert result.exit_code != 0
    assert result.stderr.endswith(message)
    assert result.stdout == ""


FOLLOWED = """
import pathlib, time
from zenml.pipelines import pipeline
from zenml.steps import step

@step
def wait() -> int:
    while not pathlib.Path("go").exists():
        time.sleep(0.01)
    return 1

@step
def talk(number: int) -> None:
    for line in range(3):
        print("line", line)
        while not pathlib.Path(f"go{line}").exists():
            time.sleep(0.01)

@pipeline
def followed():
    talk(wait())

if __name__ == "__main__":
    followed().run(run_name="followed")
"""


def test_a_log_is_followed_from_another_process(quiet: Zenml) -> None:
    Path("followed.py").write_text(FOLLOWED)
    with subprocess.Popen(
        [sys.executable, "followed.py"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        limit = time.monotonic() + 30
        store = Repository().active_stack.metadata_store
        while store.run_by_name("followed") is None:
            assert time.monotonic() < limit
            time.sleep(0.05)
        command = [
            Path(sys.executable).with_name("zenml"),
            "pipeline",
            "runs",
            "logs",
            "followed",
            "talk",
            "-f",
        ]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        ) as follower:
            assert follower.stdout is not None
            Path("go").touch()
            for line in range(3):
                assert follower.stdout.readline() == f"line {line}\n"
                Path(f"go{line}").touch()
            assert follower.stdout.read() == ""
            assert follower.wait(20) == 0
        assert run.wait(20) == 0


PRINTING = """
import logging, sys, time
from zenml.pipelines import pipeline
from zenml.steps import step

logging.basicConfig(level=logging.INFO, format="%(message)s")

@step(enable_cache=False)
def talk(name: str) -> int:
    for number in range(300):
        print(f"{name} prints {number}")
        if not number % 50:
            time.sleep(0.05)
            print(f"{name} warns {number}", file=sys.stderr)
            logging.info(f"{name} logs {number}")
            for percent in range(5):
                print(f"\\r{name} {percent} %", end="", flush=True)
            print()
    print(f"{name} is done", end="")
    return 1

@pipeline
def printing():
    talk("ada")
    talk("bob")
"""

_CONTROL = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])")


def screen(shown: str) -> list[str]:
    """The lines that a terminal shows at the end: what rich uses of its language, without a limit of its height."""
    lines, row, column = [""], 0, 0
    while shown:
        if control := _CONTROL.match(shown):
            shown = shown[control.end() :]
            if control[2] == "A":
                row -= int(control[1] or 1)
            elif control[2] == "K":
                lines[row] = ""
            continue
        character, shown = shown[0], shown[1:]
        if character == "\r":
            column = 0
        elif character == "\n":
            row, column = row + 1, 0
            if row == len(lines):
                lines.append("")
        else:
            lines[row] = lines[row].ljust(column)[:column] + character + lines[row][column + 1 :]
            column += 1
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("workers", [1, 2])
def test_what_steps_print_stands_above_the_table(quiet: Zenml, workers: int) -> None:
    if workers > 1:
        quiet("orchestrator", "register", "parallel", "--flavor=local", f"--max_workers={workers}")
        quiet("stack", "update", "default", "-o", "parallel")
    Path("printing.py").write_text(PRINTING)
    terminal, inner = pty.openpty()
    with subprocess.Popen(
        [*PROGRAM, "pipeline", "run", "printing.py"],
        stdin=inner,
        stdout=inner,
        stderr=inner,
        env={**os.environ, "COLUMNS": "120", "LINES": "40"},
    ) as process:
        os.close(inner)
        shown = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while data := os.read(terminal, 10_000):
                shown += data
        os.close(terminal)
        assert process.wait(30) == 0
    lines = "\n".join(screen(shown.decode())).rstrip().split("\n")
    for step_name, name in (("talk", "ada"), ("talk_2", "bob")):
        prefix = f"[{step_name}] " if workers > 1 else ""
        wanted = []
        for number in range(300):
            wanted.append(f"{prefix}{name} prints {number}")
            if not number % 50:
                wanted += [f"{prefix}{name} {what} {number}" for what in ("warns", "logs")]
                wanted.append(f"{prefix}{name} 4 %")
        wanted.append(f"{prefix}{name} is done")
        found = [line for line in lines if f"{name} " in line]
        assert sorted(found) == sorted(wanted)
    table = [line for line in lines if line.startswith(tuple("┏┃┠┡┗"))]
    assert len(table) == 6
    assert lines[-len(table) :] == table
