"""A program in a folder of a repository: it is the same code, whoever runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from __future__ import annotations
from dataclasses import dataclass
from helper import one_more
from zenml.pipelines import pipeline
from zenml.steps import step

@dataclass
class Size:
    value: int

@step
def measure() -> list[Size]:
    return [Size(one_more(1))]

@step
def total(sizes: list[Size], extra: int) -> int:
    return sum(size.value for size in sizes) + extra

@pipeline
def measuring():
    total(measure(), extra=3)

if __name__ == "__main__":
    measuring().run()
"""
LOOK = """
from zenml.repository import Repository
for run in Repository().get_pipeline("measuring").runs:
    print(*(f"{s.name}={s.status}" for s in run.steps), run.get_step("total").output.read())
"""
LOAD = """
import json, sys
from pathlib import Path
from zenml.repository import Repository
from zenml.steps import BaseStep
repository = Repository()
store = repository.active_stack.metadata_store
plan = json.loads(store.deployment(store.runs()[0].id))
sources = [step["source"] for step in plan["steps"]]
print(*sources, BaseStep.load(sources[0], Path(plan["source_root"])).entrypoint()[0].value)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    jobs = tmp_path / "project" / "jobs"
    jobs.mkdir(parents=True)
    (jobs / "measuring.py").write_text(PROGRAM)
    (jobs / "helper.py").write_text("def one_more(value):\n    return value + 1\n")
    return jobs.parent


def python(*arguments: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, capture_output=True, text=True, env=os.environ, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_script_and_the_command_share_a_cache_and_others_find_its_steps(project: Path) -> None:
    zenml = ("-c", "from zenml.cli import main; main()")
    python(*zenml, "init", folder=project)
    python("jobs/measuring.py", folder=project)
    python(*zenml, "pipeline", "run", "jobs/measuring.py", folder=project)
    python("measuring.py", folder=project / "jobs")

    assert python("-c", LOOK, folder=project).splitlines() == [
        "measure=completed total=completed 5",
        "measure=cached total=cached 5",
        "measure=cached total=cached 5",
    ]
    assert python("-c", LOAD, folder=project) == "jobs.measuring:measure jobs.measuring:total 2\n"
