"""Going on from a past run: resume, replay; and ending one: interrupts, signals, requests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zenml.exceptions import ChangedPipelineError, DoesNotExistException, RunError
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import step

PROGRAM = """\
import sys, time
from pathlib import Path
from zenml.pipelines import pipeline
from zenml.steps import step

HERE = Path(__file__).parent

@step(enable_cache=False)
def load(count: int = 4) -> list[int]:
    return list(range(count))

@step(enable_cache=False)
def train(number: int, rate: float = 0.1) -> float:
    (HERE / "trained").open("a").write(f"{number}\\n")
    while (HERE / "wait").exists() and number == 2:
        time.sleep(0.05)
    return number * rate

@step
def best(scores: list[float]) -> float:
    return max(scores)

@pipeline
def search():
    best(train.map(load(count=3)))

if __name__ == "__main__":
    search().run(run_name=sys.argv[1])
"""


@pytest.fixture
def program(home: Path) -> Path:
    path = Path("search.py").resolve()
    path.write_text(PROGRAM)
    return path


ZENML = Path(sys.executable).with_name("zenml")


def zenml(*arguments: object) -> tuple[int, str]:
    """The exit code of a command, and what it wrote."""
    done = subprocess.run(
        [ZENML, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout + done.stderr


def started(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def until(condition: Callable[[], Any], seconds: float = 60) -> Any:
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)
    return found


def trained() -> list[str]:
    path = Path("trained")
    return path.read_text().split() if path.exists() else []


def run_of(name: str, pipeline: str = "search") -> Any:
    return Repository().get_pipeline(pipeline).get_run(name)


def interrupted(program: Path, send: Callable[[subprocess.Popen[str]], Any]) -> int:
    """Start the program, let it come to its third instance, and end it so; its exit code."""
    Path("wait").touch()
    process = started(program, "first")
    try:
        until(lambda: len(trained()) == 3)
        send(process)
        process.communicate(timeout=60)
    finally:
        process.kill()
    Path("wait").unlink()
    return process.returncode


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_run_that_was_ended_is_gone_on_with(program: Path, number: int, code: int) -> None:
    assert interrupted(program, lambda process: process.send_signal(number)) == code
    ended = "crashed" if number == signal.SIGKILL else "cancelled"
    run = run_of("first")
    assert str(run.status) == ended
    assert [str(view.status) for view in run.get_step("train").instances] == ["completed", "completed", ended]

    code, output = zenml("pipeline", "runs", "resume", "first")
    assert code == 0, output
    resumed = run_of("first-resumed")
    assert resumed.origin == run
    assert resumed.get_step("best").output.read() == pytest.approx(0.2)
    assert [str(v.status) for v in resumed.get_step("train").instances] == ["cached", "cached", "completed"]
    assert trained() == ["0", "1", "2", "2"]


def test_a_run_is_cancelled_from_anywhere(program: Path) -> None:
    def cancel(_: object) -> None:
        code, output = zenml("pipeline", "runs", "cancel", "first")
        assert code == 0, output
        assert "The run `first` has ended: cancelled." in output

    assert interrupted(program, cancel) != 0
    assert str(run_of("first").status) == "cancelled"


def test_the_command_ends_with_the_code_of_an_interrupt(program: Path) -> None:
    Path("wait").touch()
    process = subprocess.Popen(
        [ZENML, "pipeline", "run", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    until(lambda: len(trained()) == 3)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Aborted!" in output


def test_changed_code_is_said_and_asked_for(program: Path) -> None:
    interrupted(program, lambda process: process.kill())
    program.write_text(PROGRAM.replace("number * rate", "number * rate + 1"))
    code, output = zenml("pipeline", "runs", "resume", "first")
    assert code == 1
    assert "Error: The pipeline has changed since the run 'first':" in output
    assert "step 'train': code" in output
    assert "--accept-changes" in output
    assert run_of("first").pipeline.get_run_names() == ["first"]

    code, output = zenml("pipeline", "runs", "resume", "first", "--accept-changes")
    assert code == 0, output
    resumed = run_of("first-resumed")
    assert resumed.get_step("best").output.read() == pytest.approx(1.2)
    assert str(resumed.get_step("load").status) == "cached"


def test_a_past_run_is_run_again_with_another_parameter(program: Path) -> None:
    subprocess.run([sys.executable, program, "first"], check=True, capture_output=True, timeout=60)
    code, output = zenml(
        "pipeline", "runs", "replay", "first", "--from", "train", "--param", "train.rate=0.5"
    )
    assert code == 0, output
    replayed = run_of("first-replayed")
    assert replayed.origin == run_of("first")
    assert replayed.get_step("best").output.read() == 1.0
    assert str(replayed.get_step("load").status) == "cached"
    assert {str(view.status) for view in replayed.get_step("train").instances} == {"completed"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume", "nothing"], "There is no run 'nothing' on the active stack"),
        (["resume", "first"], "The run 'first' is complete: there is nothing to resume."),
        (["replay", "first", "--from", "trian"], "has no step 'trian' to start from. Did you mean 'train'?"),
        (["replay", "first", "--param", "rate=1"], "--param is 'rate=1', expected STEP.NAME=VALUE"),
        (["replay", "first", "--param", "train.rat=1"], "the step 'train' has no parameter 'rat'"),
        (["cancel", "first"], "The run 'first' is over: it has completed."),
    ],
)
def test_what_cannot_be_gone_on_with(program: Path, arguments: list[str], message: str) -> None:
    subprocess.run([sys.executable, program, "first"], check=True, capture_output=True, timeout=60)
    code, output = zenml("pipeline", "runs", *arguments)
    assert code != 0
    assert message in " ".join(output.split())
    assert "Traceback" not in output


@step(enable_cache=False)
def source() -> int:
    return 2


@step
def fragile(number: int) -> int:
    if os.environ.get("FRAGILE"):
        raise ValueError("fragile")
    return number + 1


@pipeline
def chain() -> None:
    fragile(source())


def test_the_same_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAGILE", "yes")
    with pytest.raises(ValueError, match="fragile"):
        chain().run(run_name="first")
    monkeypatch.delenv("FRAGILE")
    run = chain().resume("first")
    assert run.name == "first-resumed"
    assert {view.name: str(view.status) for view in run.steps} == {"source": "cached", "fragile": "completed"}
    with pytest.raises(RunError, match="is complete: there is nothing to resume"):
        chain().resume("first-resumed")
    with pytest.raises(DoesNotExistException, match="There is no run 'second'"):
        chain().replay("second")
    again = chain().replay("first-resumed")
    assert again.name == "first-replayed"
    assert {str(view.status) for view in again.steps} == {"completed"}


def test_a_changed_pipeline_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAGILE", "yes")
    with pytest.raises(ValueError, match="fragile"):
        chain().run(run_name="first")

    @pipeline(name="chain")
    def longer() -> None:
        fragile(fragile(source()))

    with pytest.raises(ChangedPipelineError) as refused:
        longer().resume("first")
    assert "step 'fragile_2': is new" in str(refused.value)


def test_a_program_in_a_folder_of_the_repository_is_the_same_however_it_is_started(program: Path) -> None:
    assert zenml("init")[0] == 0
    Path("inner").mkdir()
    moved = program.rename("inner/search.py")
    subprocess.run([sys.executable, moved, "first"], check=True, capture_output=True, timeout=60)
    code, output = zenml("pipeline", "runs", "replay", "first", "--from", "best")
    assert code == 0, output
    again = zenml("pipeline", "run", "inner/search.py")
    assert again[0] == 0, again[1]
    runs = Repository().get_pipeline("search").runs
    keys = [{view.name: view.cache_key for view in run.steps} for run in runs]
    assert len(keys) == 3
    assert keys[0] == keys[1] == keys[2]
