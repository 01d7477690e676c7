"""Pipelines whose code lies in no file: in a notebook, a console, a program from a pipe."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

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


VIEWS = """
import numpy as np
import pandas as pd
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import step

@step
def frame() -> pd.DataFrame:
    return pd.DataFrame({"<b>name": ["<script>alert(1)</script>", "b"], "size": [1, 2]})

@step
def rows(data: pd.DataFrame, text: str = "<img src=x onerror=alert(1)>") -> list:
    return list(range(len(data)))

@step
def array(row: int) -> np.ndarray:
    return np.eye(2) * row

@pipeline
def viewing():
    array.map(rows(frame()))

run = viewing().run(run_name="first")
"""


@pytest.fixture
def kernel() -> Iterator[BlockingKernelClient]:
    manager = KernelManager(transport="ipc")
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def shown(kernel: BlockingKernelClient, cell: str) -> dict[str, str]:
    """What a notebook gets for a cell, by the kind of content."""
    messages: list[dict[str, Any]] = []
    reply = kernel.execute_interactive(cell, output_hook=messages.append, timeout=60)
    assert reply["content"]["status"] == "ok", reply["content"]
    results = [m["content"]["data"] for m in messages if m["msg_type"] == "execute_result"]
    return results[0] if results else {}


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_views_in_a_notebook(kernel: BlockingKernelClient) -> None:
    assert shown(kernel, VIEWS) == {}
    views = {
        cell: shown(kernel, cell)["text/html"]
        for cell in (
            "run",
            "Repository().get_pipeline('viewing')",
            "run.get_step('rows')",
            "run.get_step('array')",
            "run.get_step('array').instances[1]",
            "run.get_step('array').instances[1].output",
            "run.get_step('frame').output",
            "run.get_step('rows').output",
        )
    }
    run, pipeline, rows, mapped, instance, array, frame, numbers = views.values()
    for html in views.values():
        found = Tags(html)
        assert not found.tags & {"script", "img", "iframe", "link", "b>name"}
        assert not {name for name in found.attributes if name.startswith("on") or name in ("src", "href")}
    assert "<b>first</b> of the pipeline viewing on the stack default" in run
    assert "<svg" in run
    assert '<td style="text-align:left">array ×2</td>' in run
    assert "<b>viewing</b>: 1 run</p>" in pipeline
    assert "&lt;img src=x onerror=alert(1)&gt;" in rows
    assert "2 completed" in mapped
    assert "<b>array[1]</b>" in instance
    assert "<p>float64 (2, 2)</p><pre>[[1. 0.]\n [0. 1.]]</pre>" in array
    assert "<th>&lt;b&gt;name</th><th>size</th>" in frame
    assert "<td>&lt;script&gt;alert(1)&lt;/script&gt;</td><td>1</td>" in frame
    assert "<p>2 rows, 2 columns</p>" in frame
    assert "<pre>[0, 1]</pre>" in numbers
