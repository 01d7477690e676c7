"""A step once for each item of a list, and branches that depend on a value."""

from __future__ import annotations

from typing import Any

import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import PipelineInterfaceError, StepInterfaceError
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import Output, step, unmapped


class Calls(list[Any]):
    """What was called. No plain data: as a list, it would count for the cache by its content."""


CALLS = Calls()


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@step
def numbers(count: int = 3) -> list[int]:
    return list(range(count))


@step
def words() -> list[str]:
    return ["a", "b"]


@step
def offset() -> int:
    return 100


@step
def increase(number: int, by: int = 1) -> int:
    CALLS.append(number)
    return number + by


@step
def double(number: int) -> int:
    return 2 * number


@step
def total(values: list[int]) -> int:
    return sum(values)


@step
def split(number: int) -> Output(half=float, sign=str):  # type: ignore[valid-type]
    return number / 2, "+"


@step
def join(halves: list[float], signs: list[str]) -> str:
    return "".join(f"{sign}{half}" for half, sign in zip(halves, signs, strict=True))


@step
def fail_at(number: int, bad: int = 1) -> int:
    CALLS.append(number)
    if number == bad:
        raise ValueError(f"no {number}")
    return number


@step
def is_large(value: int, limit: int = 2) -> bool:
    return value > limit


@step
def celebrate(value: int) -> str:
    return f"hurray {value}"


@step
def mourn(value: int) -> str:
    return f"alas {value}"


@step
def tidy() -> None:
    CALLS.append("tidy")


def statuses(run: Any) -> dict[str, str]:
    return {view.name: str(view.status) for view in run.steps}


def test_a_step_is_mapped_over_a_list_that_only_the_run_knows() -> None:
    @pipeline
    def adding(source: Any) -> None:
        total(increase.map(source()))

    run = adding(source=numbers(count=4)).run()
    assert run.get_step("total").output.read() == 1 + 2 + 3 + 4
    increased = run.get_step("increase")
    assert [view.status for view in increased.instances] == [ExecutionStatus.COMPLETED] * 4
    assert [view.output.read() for view in increased.instances] == [1, 2, 3, 4]
    assert increased.instances[2].input.read() == 2
    assert increased.status is ExecutionStatus.COMPLETED

    again = adding(source=numbers(count=4)).run()
    assert set(statuses(again).values()) == {"cached"}
    assert all(view.is_cached for view in again.get_step("increase").instances)


def test_only_new_items_are_executed() -> None:
    @pipeline
    def adding(source: Any) -> None:
        total(increase.map(source()))

    adding(source=numbers(count=2)).run()
    CALLS.clear()
    run = adding(source=numbers(count=4)).run()
    assert CALLS == [2, 3]
    assert [str(view.status) for view in run.get_step("increase").instances] == [
        "cached",
        "cached",
        "completed",
        "completed",
    ]


def test_what_is_unmapped_every_instance_gets() -> None:
    @pipeline
    def adding() -> None:
        total(increase.map(numbers(), by=unmapped(offset())))

    assert adding().run().get_step("total").output.read() == 0 + 1 + 2 + 3 * 100


def test_constants_are_mapped_over_as_well() -> None:
    @pipeline
    def adding() -> None:
        total(increase.map(numbers(), by=[10, 20, 30]))

    run = adding().run()
    assert run.get_step("total").output.read() == 0 + 1 + 2 + 60
    assert [view.parameters["by"] for view in run.get_step("increase").instances] == [10, 20, 30]


def test_a_mapped_step_behind_a_mapped_one() -> None:
    @pipeline
    def doubling() -> None:
        total(double.map(increase.map(numbers())))

    assert doubling().run().get_step("total").output.read() == 2 * (1 + 2 + 3)


def test_several_outputs_are_collected_apart() -> None:
    @pipeline
    def joining() -> None:
        halves, signs = split.map(numbers())
        join(halves, signs)

    assert joining().run().get_step("join").output.read() == "+0.0+0.5+1.0"


def test_nothing_to_map_over() -> None:
    @pipeline
    def adding(source: Any) -> None:
        total(increase.map(source()))

    run = adding(source=numbers(count=0)).run()
    assert run.get_step("total").output.read() == 0
    assert run.get_step("increase").instances == []


def test_a_failing_instance_fails_the_step_and_leaves_the_others() -> None:
    @pipeline
    def failing() -> None:
        total(fail_at.map(numbers()))

    with pytest.raises(ValueError, match="no 1") as raised:
        failing().run(run_name="one")
    assert "In the step 'fail_at[1]' of the run 'one'." in raised.value.__notes__
    run = Repository().get_pipeline("failing").get_run("one")
    assert CALLS == [0, 1, 2]
    assert [str(view.status) for view in run.get_step("fail_at").instances] == [
        "completed",
        "failed",
        "completed",
    ]
    assert statuses(run) == {"numbers": "completed", "fail_at": "failed", "total": "skipped"}
    assert run.get_step("fail_at").error.message == "no 1"


def test_a_thousand_instances() -> None:
    @pipeline
    def many(source: Any) -> None:
        total(increase.map(source()))

    run = many(source=numbers(count=1000)).run()
    assert run.get_step("total").output.read() == sum(range(1001))


def test_lists_of_different_lengths() -> None:
    @pipeline
    def wrong() -> None:
        increase.map(numbers(), by=[1, 2])

    with pytest.raises(
        StepInterfaceError,
        match=r"The step 'increase' is mapped over lists of different lengths: 'number' has 3, 'by' has 2\.",
    ):
        wrong().run(run_name="wrong")
    run = Repository().get_pipeline("wrong").get_run("wrong")
    assert statuses(run) == {"numbers": "completed", "increase": "failed"}


@pytest.mark.parametrize(
    ("compose", "message"),
    [
        (lambda: increase.map(offset()), r"cannot be mapped over the output 'output' of the step 'offset', which is int"),
        (lambda: increase.map(words()), r"takes 'number' as int, but an item of the output 'output' of the step 'words' is str"),
        (lambda: increase.map(3), r"is mapped over nothing"),
        (lambda: increase.map([1], by=[1, 2]), r"different lengths: 'number' has 1, 'by' has 2"),
        (lambda: celebrate(increase.map(numbers())), r"but all of the output 'output' of the step 'increase' is list\[int\]"),
        (lambda: increase(number=offset(), when=True), r"`when` of the step 'increase' is True, expected the output of a step"),
        (
            lambda: increase(number=offset(), when=is_large.map(numbers())),
            r"asks for an output of the mapped step 'is_large'",
        ),
        (lambda: increase(number=offset() > 3), r"a condition is for `when=` only"),
    ],
)  # fmt: skip
def test_what_cannot_be_mapped_is_refused_while_the_pipeline_is_put_together(
    compose: Any, message: str
) -> None:
    @pipeline
    def wrong() -> None:
        compose()

    with pytest.raises(StepInterfaceError, match=message):
        wrong().run()


def test_a_condition_has_no_truth_while_the_pipeline_is_put_together() -> None:
    @pipeline
    def wrong() -> None:
        if offset() > 3:
            numbers()

    with pytest.raises(PipelineInterfaceError, match="is known by the run only"):
        wrong().run()


@pytest.mark.parametrize(
    ("limit", "taken", "left"), [(2, "celebrate", "mourn"), (1000, "mourn", "celebrate")]
)
def test_a_branch_is_taken_by_a_value(limit: int, taken: str, left: str) -> None:
    @pipeline
    def branching(check: Any) -> None:
        value = offset()
        good = check(value)
        yes = celebrate(value, when=good)
        no = mourn(value, when=~good)
        tidy(after=[yes, no])

    run = branching(check=is_large(limit=limit)).run()
    assert run.status is ExecutionStatus.COMPLETED
    assert run.get_step(taken).status is ExecutionStatus.COMPLETED
    skipped = run.get_step(left)
    assert skipped.status is ExecutionStatus.SKIPPED
    assert skipped.reason == f"its condition does not hold: {'not ' if left == 'mourn' else ''}check"
    assert run.get_step("tidy").status is ExecutionStatus.COMPLETED


def test_what_reads_a_step_that_was_left_out_is_left_out() -> None:
    @step
    def shout(text: str) -> str:
        return text.upper()

    @pipeline
    def branching() -> None:
        value = offset()
        said = celebrate(value, when=value >= 101)
        loud = shout(said)
        tidy(after=loud)

    run = branching().run()
    assert run.get_step("celebrate").reason == "its condition does not hold: offset >= 101"
    assert run.get_step("shout").reason == "it needs the step 'celebrate', which was skipped"
    assert CALLS == ["tidy"]


def test_a_mapped_step_under_a_condition() -> None:
    @pipeline
    def branching() -> None:
        total(increase.map(numbers(), when=is_large(offset(), limit=1000)))

    run = branching().run()
    assert run.get_step("increase").status is ExecutionStatus.SKIPPED
    assert run.get_step("total").status is ExecutionStatus.SKIPPED
