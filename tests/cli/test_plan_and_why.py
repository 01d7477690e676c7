"""Asking before a run what it would do, and after it why it did so."""

import json
import re
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Zenml, own_imports
from zenml.repository import Repository

FEATURES = """\
LEAST = 0

def clean(x):
    return max(x, LEAST)
"""
TRAINING = """\
import features
from zenml.pipelines import pipeline
from zenml.steps import step

print("training is imported")

@step
def load(n: int = 2) -> int:
    return n

@step
def train(data: int, lr: float = 0.1) -> float:
    return features.clean(data) * lr

@step
def report(result: float) -> None:
    print(result)

@pipeline
def training():
    report(train(load()))
"""


class Project:
    """A folder with a program that is edited, and run by commands as by new processes."""

    def __init__(self, zenml: Zenml) -> None:
        self._zenml = zenml
        Path("features.py").write_text(FEATURES)
        Path("training.py").write_text(TRAINING)

    def edit(self, name: str, old: str, new: str) -> None:
        text = Path(name).read_text()
        assert old in text
        Path(name).write_text(text.replace(old, new))

    def zenml(self, *arguments: str) -> str:
        with own_imports():
            result = self._zenml("pipeline", *arguments)
        assert result.exit_code == 0, result.output
        return result.stdout

    def run(self) -> str:
        self.zenml("run", "training.py")
        return Repository().get_pipeline("training").runs[-1].name

    def why(self, *arguments: str) -> str:
        lines = self.zenml("why", *arguments).splitlines()
        return "\n".join(line for line in lines if not line.startswith("Running with "))

    def plan(self) -> dict[str, tuple[str, list[str]]]:
        document = json.loads(self.zenml("plan", "training.py", "-o", "json"))
        return {step["step"]: (step["action"], step["reasons"]) for step in document["steps"]}


@pytest.fixture
def project(quiet: Zenml, monkeypatch: pytest.MonkeyPatch) -> Project:
    # What Python has compiled is found by time and size, which two versions may share here.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return Project(quiet)


def test_each_change_is_told_in_words_before_and_after(project: Project) -> None:
    new = ("run", ["first run of this step"])
    assert project.plan() == {"load": new, "train": new, "report": new}
    first = project.run()
    assert project.why(first).splitlines() == [
        "load (completed): first run of this step",
        "train (completed): first run of this step",
        "report (completed): first run of this step",
    ]

    as_then = re.compile(rf"as in the run '{first}' of \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d UTC")
    for action, (reason,) in project.plan().values():
        assert action == "cached"
        assert as_then.fullmatch(reason)
    for line in project.why(project.run()).splitlines():
        assert as_then.fullmatch(line.split(" (cached): ")[1])

    project.edit("training.py", "lr: float = 0.1", "lr: float = 0.2")
    project.edit("features.py", "max(x, LEAST)", "max(LEAST, x)")
    reasons = ["parameter lr: 0.1 → 0.2", "code of the step changed", "helper features.clean changed"]
    assert project.plan()["train"] == ("run", reasons)
    assert project.plan()["report"] == ("depends", ["input result is made by train, which runs"])
    assert project.why(project.run(), "train") == "train (completed): " + "\n  ".join(reasons)

    project.edit("features.py", "LEAST = 0", "LEAST = 1")
    assert project.plan()["train"] == ("run", ["constant features.LEAST changed"])
    assert project.why(project.run(), "train") == "train (completed): constant features.LEAST changed"

    project.edit("training.py", "n: int = 2", "n: int = 3")
    assert project.plan()["train"] == ("depends", ["input data is made by load, which runs"])
    assert project.why(project.run(), "report") == (
        "report (completed): input result changed (made by train, which ran because input data changed (made by load))"
    )


def test_programs_read_json(project: Project) -> None:
    run = project.run()
    assert json.loads(project.zenml("why", run, "load", "-o", "json")) == [
        {"step": "load", "status": "completed", "reasons": ["first run of this step"]}
    ]
    assert json.loads(project.zenml("plan", "training.py", "-o", "json"))["missing"] == []


def test_the_plan_as_a_table(project: Project) -> None:
    assert (
        project.zenml("plan", "training.py")
        == """\
Running with active profile: 'default' (local)
Running with active stack: 'default'
training is imported
           A run of the pipeline 'training' on the stack 'default'
┏━━━━━━━━┯━━━━━━━━┯━━━━━━━━━━━━━━━━━━━━━━━━┯━━━━━━━━━━━━━━━━━━━━━━┯━━━━━━━━━┓
┃ STEP   │ ACTION │ WHY                    │ WHERE                │ SECONDS ┃
┠────────┼────────┼────────────────────────┼──────────────────────┼─────────┨
┃ load   │ run    │ first run of this step │ default (in-process) │         ┃
┃ train  │ run    │ first run of this step │ default (in-process) │         ┃
┃ report │ run    │ first run of this step │ default (in-process) │         ┃
┗━━━━━━━━┷━━━━━━━━┷━━━━━━━━━━━━━━━━━━━━━━━━┷━━━━━━━━━━━━━━━━━━━━━━┷━━━━━━━━━┛
                                    3 run
"""
    )


def test_what_is_missing_is_said(project: Project) -> None:
    project.edit(
        "training.py",
        "@pipeline",
        "@pipeline(requirements=['no-such-package>=1', 'pydantic<1'], secrets=['token'])",
    )
    project.edit("training.py", "@step\ndef report", "@step(step_operator='far')\ndef report")
    with own_imports():
        result = project._zenml("pipeline", "plan", "training.py")
    assert result.exit_code == 0
    import pydantic

    assert result.stderr.splitlines() == [
        "Step 'report' requires custom step operator 'far' which is not configured in the active stack. Available step operators: none.",
        "The secret 'token', for the pipeline 'training' (the stack 'default' has no secrets manager), does not exist.",
        "The package no-such-package>=1 is missing: install it.",
        f"The package pydantic<1 ({pydantic.VERSION} is installed) is missing: install it.",
    ]


def test_bad_input(project: Project) -> None:
    run = project.run()

    def refused(*arguments: str) -> str:
        with own_imports():
            result = project._zenml("pipeline", *arguments)
        assert result.exit_code == 1
        return result.stderr.splitlines()[-1]

    assert (
        refused("why", "nothing") == f"Error: There is no run 'nothing' on the active stack. Known: '{run}'."
    )
    assert (
        refused("why", run, "trian") == f"Error: The run '{run}' has no step 'trian'. Did you mean 'train'?"
    )
    assert refused("plan", "training.py", "--name", "trainings").startswith(
        "Error: There is no pipeline 'trainings' in "
    )
    Path("training.py").write_text("1 / 0")
    assert refused("plan", "training.py") == "ZeroDivisionError: division by zero"
