"""Views and graphs of runs with mapped, retried, conditional and resumed steps."""

from __future__ import annotations

import json

import pytest

from tests.graphs import artifact, graph, record, spec
from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException
from zenml.model.deployment import ConditionSpec
from zenml.model.runs import ErrorRecord
from zenml.pipelines import pipeline
from zenml.post_execution import PipelineRunView
from zenml.repository import Repository
from zenml.steps import Retry, step


class Plan:
    """What goes wrong next. No plain data, which would count for the cache."""

    def __init__(self) -> None:
        self.failures = 0
        self.fives = True


PLAN = Plan()


@pytest.fixture(autouse=True)
def _plan() -> None:
    PLAN.failures, PLAN.fives = 1, True


@step
def numbers(count: int = 6) -> list[int]:
    return list(range(count))


@step
def square(number: int) -> int:
    if number == 5 and PLAN.fives:
        raise ValueError("no fives\nat all")
    return number * number


@step
def total(squares: list[int]) -> int:
    return sum(squares)


@step(retries=Retry(attempts=3))
def unsteady(value: int) -> int:
    if PLAN.failures:
        PLAN.failures -= 1
        raise ConnectionError("gone")
    return value


@step
def tell(value: int) -> None: ...


@pipeline
def squares() -> None:
    found = unsteady(total(square.map(numbers())))
    tell(found, when=found > 10_000)


def run_of(start: object) -> PipelineRunView:
    with pytest.raises(ValueError, match="no fives"):
        start()  # type: ignore[operator]
    return Repository().get_pipeline("squares").runs[-1]  # type: ignore[union-attr]


def succeed() -> PipelineRunView:
    PLAN.fives = False
    return squares().run()


# Views


def test_instances() -> None:
    run = run_of(squares().run)
    mapped = run.get_step("square")
    assert (mapped.is_mapped, mapped.map_index, mapped.label) == (True, -1, "square")
    assert [instance.label for instance in mapped.instances] == [f"square[{i}]" for i in range(6)]
    third, last = mapped.instances[3], mapped.instances[5]
    assert (third.is_mapped, third.map_index, third.name, third.instances) == (False, 3, "square", [])
    assert third.run == run
    assert third.output.read() == 9
    assert third.inputs["number"].read() == 3
    assert not third.inputs["number"].is_cached
    assert repr(last).endswith("name='square[5]', status='failed')")
    assert last.error is not None
    with pytest.raises(ValueError, match=r"The step 'square\[5\]' \(failed\) has no output"):
        _ = last.output
    assert (run.get_step("numbers").is_mapped, run.get_step("numbers").instances) == (False, [])


def test_outputs_of_a_mapped_step_are_those_of_its_instances() -> None:
    failed = run_of(squares().run).get_step("square")
    assert {name: a.read() for name, a in failed.outputs.items()} == {f"output[{i}]": i * i for i in range(5)}
    run = succeed()
    assert {name: a.read() for name, a in run.get_step("total").inputs.items()} == {
        f"squares[{i}]": i * i for i in range(6)
    }
    is_cached = [a.is_cached for a in run.get_step("total").inputs.values()]
    assert is_cached == [True] * 5 + [False], "five of the instances were"
    assert [a.is_cached for a in run.get_step("square").outputs.values()] == is_cached


def test_attempts() -> None:
    run = succeed()
    unsteady = run.get_step("unsteady")
    first, second = unsteady.attempt_records
    assert unsteady.attempts == 2
    assert (first.number, first.status) == (1, ExecutionStatus.FAILED)
    assert first.error is not None
    assert (first.error.type, first.error.message) == ("ConnectionError", "gone")
    assert (second.number, second.status, second.error) == (2, ExecutionStatus.COMPLETED, None)
    assert second.ended is not None
    assert first.started <= second.started <= second.ended


def test_the_run_that_a_run_goes_on_from() -> None:
    failed = run_of(squares().run)
    assert (failed.origin, failed.origin_kind) == (None, None)
    PLAN.fives = False
    resumed = squares().resume(failed.name)
    assert (resumed.origin, resumed.origin_kind) == (failed, "resume")
    assert resumed.status is ExecutionStatus.COMPLETED


# Graphs of real runs


def test_the_graph_of_a_run() -> None:
    graph = run_of(squares().run).graph
    assert [(step.label, str(step.status), step.counts) for step in graph.steps] == [
        ("numbers", "completed", ""),
        ("square ×6", "failed", "5 completed, 1 failed"),
        ("total", "skipped", ""),
        ("unsteady", "skipped", ""),
        ("tell", "skipped", ""),
    ]
    assert [(a.step, a.label, a.exists) for a in graph.artifacts] == [
        ("numbers", "output", True),
        ("square", "output ×5", True),
        ("total", "output", False),
        ("unsteady", "output", False),
    ]
    assert graph.steps[1].note == "5 completed, 1 failed; ValueError: no fives"
    assert graph.summary == "5 steps: 1 completed, 1 failed, 3 skipped."


def test_the_graph_as_data() -> None:
    run = succeed()
    document = json.loads(json.dumps(run.graph.to_document()))
    assert [(e["source"], e["target"], e["kind"], e["name"]) for e in document["edges"]] == [
        ("step:numbers", "artifact:numbers/output", "output", ""),
        ("artifact:numbers/output", "step:square", "input", "number"),
        ("step:square", "artifact:square/output", "output", ""),
        ("artifact:square/output", "step:total", "input", "squares"),
        ("step:total", "artifact:total/output", "output", ""),
        ("artifact:total/output", "step:unsteady", "input", "value"),
        ("step:unsteady", "artifact:unsteady/output", "output", ""),
        ("artifact:unsteady/output", "step:tell", "input", "value"),
        ("artifact:unsteady/output", "step:tell", "when", "unsteady > 10000"),
    ]
    nodes = {node["id"]: node for node in document["nodes"]}
    assert nodes["step:square"]["instances"] == {"completed": 6}
    assert nodes["step:unsteady"]["attempts"] == 2
    assert nodes["step:numbers"]["parameters"] == {"count": 6}
    value = run.get_step("total").output
    assert nodes["artifact:total/output"] == {
        "id": "artifact:total/output",
        "kind": "artifact",
        "name": "output",
        "step": "total",
        "declared_type": "int",
        "count": None,
        "is_cached": False,
        "is_removed": False,
        "data_type": "builtins.int",
        "uri": value.uri,
        "size": value.size,
        "digest": value.digest,
    }
    ids = list(nodes)
    assert len(ids) == len(set(ids))
    assert {e[end] for e in document["edges"] for end in ("source", "target")} <= set(ids)


def test_the_graph_of_a_run_that_took_all_from_the_cache() -> None:
    succeed()
    graph = succeed().graph
    assert {str(step.status) for step in graph.steps} == {"cached", "skipped"}
    assert graph.steps[1].counts == "6 cached"
    assert [a.is_cached for a in graph.artifacts if a.value] == [True, True, True]


# Graphs of what is recorded


def test_what_waits_without_reading() -> None:
    specs = [spec("a"), spec("b", after=("a",)), spec("c", {"x": ("a", "output")}, after=("a", "b"))]
    assert [(e.source, e.target, e.kind) for e in graph(specs).edges if e.kind != "output"] == [
        ("step:a", "step:b", "after"),
        ("artifact:a/output", "step:c", "input"),
        ("step:b", "step:c", "after"),
    ]


def test_what_has_not_ended_took_its_time_until_now() -> None:
    specs = [spec("a"), spec("b", {"x": ("a", "output")}), spec("c")]
    records = [record("a", "running", ended=None), record("b", "pending"), record("c", "crashed")]
    assert [step.seconds for step in graph(specs, records).steps] == [60.0, None, 1.5]


def test_a_mapped_step_that_was_not_spread_yet() -> None:
    specs = [spec("a"), spec("b", {"x": ("a", "output", "items")})]
    drawn = graph(specs, [record("a", "running"), record("b", "pending")])
    assert (drawn.steps[1].label, drawn.steps[1].counts) == ("b", "")
    assert [a.exists for a in drawn.artifacts] == [False, False]


def test_what_a_step_says_of_itself() -> None:
    failed = record("a", "failed", attempts=3, error=ErrorRecord("ValueError", "\nfirst\nsecond"))
    assert graph([spec("a")], [failed]).steps[0].note == "3 attempts; ValueError: first"
    skipped = record("a", "skipped", attempts=0, reason="a condition")
    assert graph([spec("a")], [skipped]).steps[0].note == "a condition"


def test_types_of_values() -> None:
    outputs = {"a": {"output": artifact()}}
    given, declared = graph([spec("a", outputs=("output", "other"))], outputs=outputs).artifacts
    assert (given.type_name, declared.type_name) == ("DataFrame", "int")


def test_values_that_were_removed() -> None:
    outputs = {"a": {"output": artifact(id=7)}, "b": {"output": artifact(id=8)}}
    removed, kept = graph([spec("a"), spec("b")], outputs=outputs, removed=[7]).artifacts
    assert (removed.exists, removed.is_removed) == (False, True)
    assert (kept.exists, kept.is_removed) == (True, False)


def test_a_condition_alone_is_an_edge() -> None:
    specs = [spec("a"), spec("b", when=ConditionSpec("a", "output"))]
    assert [(e.kind, e.name) for e in graph(specs).edges if e.target == "step:b"] == [("when", "a")]


def test_an_origin_that_was_deleted() -> None:
    first = succeed()
    again = squares().replay(first.name, start="numbers")
    assert (again.origin, again.origin_kind) == (first, "replay")
    Repository().active_stack.metadata_store.delete_runs([first.id])
    with pytest.raises(DoesNotExistException):
        _ = again.origin
    assert again.origin_kind == "replay"
