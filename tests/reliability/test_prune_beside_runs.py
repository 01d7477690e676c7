"""Values are pruned again and again beside runs that take them from the cache: no run ever misses what it was promised."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from zenml.post_execution.prune import prune
from zenml.repository import Repository

RUNS = int(os.environ.get("ZENML_TEST_RUNS", "25"))

CODE = """\
import sys

from zenml.pipelines import pipeline
from zenml.steps import step


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def total(values: list[int]) -> int:
    return sum(values)


@step(enable_cache=False)
def check(values: list[int], total: int) -> None:
    assert sum(values) == total


@pipeline
def summing(count: int):
    values = numbers(count=count)
    check(values, total(values))


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        summing(number % 3).run()
"""


@pytest.mark.timeout(300)
def test_no_run_misses_a_value_that_is_pruned_beside_it(monkeypatch):
    monkeypatch.setenv("ZENML_ENABLE_REPO_INIT_WARNINGS", "false")
    Path("summing.py").write_text(CODE)
    command = [sys.executable, "summing.py"]
    # Each takes results of the other's runs from the cache.
    subprocess.run([*command, "1"], check=True, capture_output=True)
    programs = [
        subprocess.Popen([*command, str(RUNS)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    stack = Repository().active_stack
    stores = stack.metadata_store, stack.artifact_store
    removed = 0
    while any(program.poll() is None for program in programs):
        result = prune(*stores, older_than=timedelta(0), dry_run=False)
        removed += sum(one.artifacts for one in result.runs)
    for program in programs:
        output, _ = program.communicate()
        assert program.returncode == 0, output
    steps = [step for run in stack.metadata_store.runs() for step in stack.metadata_store.steps(run.id)]
    assert len(steps) == 3 * (2 * RUNS + 1)
    assert {step.status.value for step in steps} <= {"completed", "cached"}
    assert removed
    prune(*stores, older_than=timedelta(0), dry_run=False)
    assert all(one.removed for one in stack.metadata_store.recorded_artifacts())
