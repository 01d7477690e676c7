"""What the plan says is what a run then does."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zenml.enums import ExecutionStatus
from zenml.model.plan import CACHED, DEPENDS, RUN, SKIPPED, Plan
from zenml.pipelines import pipeline
from zenml.post_execution import PipelineRunView
from zenml.repository import Repository
from zenml.steps import step
from zenml.testing import isolated_stack

EXAMPLES = int(os.environ.get("ZENML_PLAN_EXAMPLES", "30"))


@step
def source(n: int) -> int:
    return n


SHIFT = 0  # what the code is: it is changed between runs


def shifted(value: int) -> int:
    return value + SHIFT


@step
def half(value: int, bias: int) -> int:
    return (
        shifted(value) + bias
    ) // 2  # many inputs, few outputs: a step that ran gives what another gave before


@step
def joined(left: int, right: int, bias: int) -> int:
    return (left + right + bias) % 3


@step
def spread(value: int, bias: int) -> list:
    return list(range((value + bias) % 3))


@step
def total(values: list[int], bias: int) -> int:
    return (sum(values) + bias) % 4


@dataclass(frozen=True)
class Node:
    """A step of a random pipeline. `reads` are distances to earlier ones of the kind that it takes."""

    kind: str
    n: int
    reads: tuple[int, ...]
    enable_cache: bool
    when: int | None


nodes = st.builds(
    Node,
    kind=st.sampled_from(
        (
            "source",
            "half",
            "half",
            "joined",
            "spread",
            "over items",
            "over constants",
            "over the same",
            "total",
        )
    ),
    n=st.integers(0, 2),
    reads=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    enable_cache=st.sampled_from((True, True, True, True, False)),
    when=st.sampled_from((None, None, None, 0, 1)),
)


def both(made: Any) -> dict[bool, Any]:
    return {True: made, False: step(enable_cache=False)(made.entrypoint)}


SOURCE, HALF, JOINED, SPREAD, TOTAL = map(both, (source, half, joined, spread, total))


def build(plan: list[Node], name: str) -> Any:
    @pipeline(name=name)
    def random() -> None:
        ints, lists, mapped = [source(0)], [], []
        for node in plan:
            how = {} if node.when is None else {"when": ints[-1 - node.when % len(ints)] > 0}
            first, second = (ints[-1 - distance % len(ints)] for distance in node.reads)
            far, caches = node.reads[0], node.enable_cache
            if node.kind == "source":
                ints.append(SOURCE[caches](node.n, **how))
            elif node.kind == "half":
                ints.append(HALF[caches](first, node.n, **how))
            elif node.kind == "joined":
                ints.append(JOINED[caches](first, second, node.n, **how))
            elif node.kind == "spread":
                lists.append(SPREAD[caches](first, node.n, **how))
            elif node.kind == "over items" and lists:
                mapped.append(HALF[caches].map(value=lists[-1 - far % len(lists)], bias=node.n, **how))
            elif node.kind == "over constants":
                mapped.append(HALF[caches].map(value=list(range(node.n)), bias=1, **how))
            elif node.kind == "over the same" and mapped:
                mapped.append(HALF[caches].map(value=mapped[-1 - far % len(mapped)], bias=node.n, **how))
            elif node.kind == "total" and mapped:
                ints.append(TOTAL[caches](mapped[-1 - far % len(mapped)], node.n, **how))

    return random()


def check(plan: Plan, run: PipelineRunView, known: set[str], *, complete: bool) -> None:
    """Compare; `known` are the keys of all results that there were before, and get those of this run. `complete`: none is gone."""
    assert [step.step for step in plan.steps] == run.get_step_names()
    for said in plan.steps:
        view = run.get_step(said.step)
        units = view.instances if view.is_mapped else [view]
        told = (said, view.status, plan)
        if said.action == SKIPPED:
            assert view.status is ExecutionStatus.SKIPPED, told
        elif said.action == CACHED:
            assert view.status is ExecutionStatus.CACHED, told
        elif said.action == RUN:
            assert view.status is ExecutionStatus.COMPLETED, told
        if said.width is not None and view.status is not ExecutionStatus.SKIPPED:
            assert len(units) == said.width, told
        if said.is_mapped:
            assert sum(unit.is_cached for unit in units) >= said.cached, told
        for unit in units:
            if unit.status is ExecutionStatus.SKIPPED:
                continue
            if said.action == DEPENDS and run.spec(said.step).enable_cache and complete:
                assert unit.is_cached == (unit.cache_key in known), told
            known.add(unit.cache_key or "")


@settings(max_examples=EXAMPLES)
@given(st.lists(nodes, min_size=1, max_size=8), st.data())
def test_a_run_does_what_the_plan_says(plan: list[Node], data: st.DataObject) -> None:
    known: set[str] = set()
    complete = True
    with isolated_stack() as stack, pytest.MonkeyPatch.context() as patch:
        for _ in range(data.draw(st.integers(1, 4), label="runs")):
            patch.setattr(sys.modules[__name__], "SHIFT", data.draw(st.sampled_from((0, 0, 1)), label="code"))
            made = build(plan, data.draw(st.sampled_from(("first", "second")), label="pipeline"))
            check(made.plan(), made.run(), known, complete=complete)
            for position in data.draw(st.sets(st.integers(0, len(plan) - 1), max_size=2), label="changed"):
                changed = data.draw(nodes, label="to")
                plan = [changed if at == position else node for at, node in enumerate(plan)]
            values = sorted(Path(stack.artifact_store.path).glob("runs/*/*.1"))
            if values and data.draw(st.sampled_from((False, False, True)), label="loses a value"):
                shutil.rmtree(values[data.draw(st.integers(0, len(values) - 1), label="lost")])
                complete = False


def test_a_plan_records_nothing() -> None:
    made = build([Node("half", 1, (0, 0), enable_cache=True, when=None)], "quiet")
    store = Repository().active_stack.metadata_store
    before = store.count_runs()

    assert made.plan().actions == {RUN: 2}
    assert store.count_runs() == before
    assert store.pipeline("quiet") is None
