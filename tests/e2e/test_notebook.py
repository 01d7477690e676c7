"""Pipelines whose code lies in no file: in a notebook, a console, a program from a pipe."""

from __future__ import annotations

import subprocess
import sys

CELL = """
from __future__ import annotations
from dataclasses import dataclass
from zenml.pipelines import pipeline
from zenml.steps import step

@dataclass
class Size:
    value: int

@step
def measure() -> Size:
    return Size(1)

@step
def scale(size: Size, by: int = 2) -> list[Size]:
    return [Size(size.value * by)]

@pipeline
def scaling():
    scale(measure())

run = scaling().run()
print([str(step.status) for step in run.steps], run.get_step("scale").output.read())
"""


def execute(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable], input=program, capture_output=True, text=True, check=False)


def test_cells_may_be_executed_again_and_changed() -> None:
    cells = [CELL, CELL, CELL.replace("size.value * by", "size.value * by + 1")]
    done = execute("\n".join(f"exec({cell!r}, globals())" for cell in cells))
    assert done.stdout.splitlines() == [
        "['completed', 'completed'] [Size(value=2)]",
        "['cached', 'cached'] [Size(value=2)]",
        "['cached', 'completed'] [Size(value=3)]",
    ], done.stderr


def test_a_step_in_no_file_is_not_for_another_process() -> None:
    program = """
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.step_operators import VenvStepOperator
from zenml.steps import step

@step(step_operator="apart")
def far() -> int:
    return 1

@pipeline
def going_far():
    far()

repository = Repository()
active = repository.active_stack
repository.register_stack(Stack(
    "apart", orchestrator=active.orchestrator, metadata_store=active.metadata_store,
    artifact_store=active.artifact_store, step_operator=VenvStepOperator(name="apart"),
))
repository.activate_stack("apart")
try:
    going_far().run()
finally:
    print(repository.get_pipelines())
"""
    done = execute(program)
    assert "The step 'far' cannot be executed by the step operator 'apart'" in done.stderr
    assert "Define it at the top of a module." in done.stderr
    assert done.stdout == "[]\n", "nothing is recorded"
    assert done.returncode == 1
