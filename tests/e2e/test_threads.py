"""Several pipelines at once: in threads of one process, and in several processes on one store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
from concurrent.futures import ThreadPoolExecutor
from zenml.pipelines import pipeline
from zenml.steps import StepContext, step

@step(enable_cache=False)
def number(value: int, context: StepContext) -> str:
    return f"{value} {context.stack.name}"

@step(enable_cache=False)
def show(text: str) -> str:
    return text.upper()

@pipeline
def numbering(value: int):
    show(number(value=value))

def run(value):
    return numbering(value=value).run().get_step("show").output.read()

if __name__ == "__main__":
    with ThreadPoolExecutor(4) as threads:
        print(list(threads.map(run, range(1, 5))))
"""


def test_threads_and_processes_run_a_pipeline_at_once() -> None:
    Path("program.py").write_text(PROGRAM)
    started = [
        subprocess.Popen(
            [sys.executable, "program.py"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(3)
    ]
    for process in started:
        out, err = process.communicate(timeout=60)
        assert out == "['1 DEFAULT', '2 DEFAULT', '3 DEFAULT', '4 DEFAULT']\n", err
