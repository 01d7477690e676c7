"""Calling steps in a pipeline's function: names, order, and what may be given to what."""

import time
from typing import Any

import pytest

from zenml.exceptions import InvalidNameError, PipelineInterfaceError, StepInterfaceError
from zenml.pipelines import pipeline
from zenml.pipelines.compiler import in_order, upstream
from zenml.steps import Output, step


@step
def number() -> int:
    return 1


@step
def add(a: int, b: int = 2) -> int:
    return a + b


@step
def show(a: int) -> None: ...


def names(function: Any, **arguments: Any) -> list[str]:
    return [i.name for i in in_order(pipeline(function)(**arguments).compose(), "p")]


def test_an_argument_keeps_its_name_whatever_else_is_called() -> None:
    def connect(number_: Any, add: Any) -> None:
        number()
        number_()
        add_ = globals()["add"]
        add(add_(1))

    assert names(connect, number_=number(), add=add()) == ["number", "number_", "add_2", "add"]


def test_one_instance_for_two_arguments_stands_for_two_steps() -> None:
    def connect(first: Any, second: Any) -> None:
        second(first(1))

    one = add(b=5)
    made = pipeline(connect)(first=one, second=one).compose()

    assert [i.name for i in made] == ["first", "second"]
    assert [i.step.parameters for i in made] == [{"b": 5}, {"b": 5}]


@pytest.mark.parametrize("name", ["../outside", "a/b", "", 5, "."])
def test_an_id_cannot_leave_its_folder(name: Any) -> None:
    def connect() -> None:
        number(id=name)

    with pytest.raises(InvalidNameError, match="cannot be the name of a step"):
        names(connect)


def test_the_name_of_an_output_cannot_leave_its_folder() -> None:
    with pytest.raises(InvalidNameError, match="'../outside' cannot be the name of a step's output"):
        Output(("../outside", int))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda: number, "is given a step itself for 'a': call it"),
        (lambda: [number()], "is given outputs of steps inside of a list for 'a'"),
        (lambda: {"x": number()}, "is given outputs of steps inside of a dict for 'a'"),
        (lambda: (number(), 3), "is given outputs of steps inside of a tuple for 'a'"),
    ],
)
def test_an_input_takes_one_output(value: Any, message: str) -> None:
    def connect() -> None:
        add(value())

    with pytest.raises(StepInterfaceError, match=f"The step 'add' {message}"):
        names(connect)


def test_after_takes_everything_that_names_a_step() -> None:
    def connect() -> None:
        first = number()
        quiet = show(first)
        again = number(id="again")
        add(1, after=[first, quiet, "again"])
        add(1, after=number)
        add(1, after=None)
        again.invocation.after(quiet)

    made = {i.name: [u.name for u in upstream(i)] for i in pipeline(connect)().compose()}

    assert made == {
        "number": [],
        "show": ["number"],
        "again": ["show"],
        "add": ["number", "show", "again"],
        "add_2": ["number", "again"],
        "add_3": [],
    }


def test_after_does_not_reach_into_another_pipeline() -> None:
    kept: list[Any] = []

    def one() -> None:
        kept.append(number())

    def other() -> None:
        add(1, after=kept[0])

    names(one)
    with pytest.raises(
        PipelineInterfaceError, match="`after` names .*number.*, which the pipeline 'other' does not call"
    ):
        names(other)

    def third() -> None:
        add(kept[0])

    with pytest.raises(PipelineInterfaceError, match="belongs to another pipeline than 'third'"):
        names(third)


def test_ten_thousand_steps_one_after_another_and_one_after_all() -> None:
    def connect() -> None:
        before = [number()]
        for _ in range(10_000):
            before.append(number(after=before[-1]))
        show(1, after=before)

    started = time.perf_counter()
    ordered = in_order(pipeline(connect)().compose(), "p")

    assert len(ordered) == 10_002
    assert len(ordered[-1].upstream) == 10_001
    assert time.perf_counter() - started < 10  # far above what it takes, far below what a square would


def test_annotations_may_be_text_at_any_depth() -> None:
    class Local: ...

    @step
    def many(a: "list['Local']", b: list["Local"], c: "Local | None" = None) -> Output(
        x="Local", y=dict[str, "Local"]
    ): ...

    assert {name: a.annotation for name, a in many.signature.arguments.items()} == {
        "a": list[Local],
        "b": list[Local],
        "c": Local | None,
    }
    assert many.signature.outputs == {"x": Local, "y": dict[str, Local]}
    with pytest.raises(StepInterfaceError, match="'Gone' is not defined"):

        @step
        def lost(a: list["Gone"]) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is what is tested


def test_annotations_of_an_output_of_the_wrong_items_are_told() -> None:
    @step
    def bad() -> list[int]:
        return [1, "a"]  # type: ignore[list-item]

    with pytest.raises(
        StepInterfaceError, match=r"expected type: list\[int\], actual type: list\[int \| str\]"
    ):
        bad().run_entrypoint({}, {})


def test_an_unknown_integration_is_refused_before_a_run() -> None:
    @pipeline(required_integrations=["sklaern"])
    def wanting() -> None: ...

    with pytest.raises(KeyError, match="There is no integration 'sklaern'. Did you mean 'sklearn'?"):
        wanting()
