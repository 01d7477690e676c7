"""Steps: how they are defined, configured and called."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any, NamedTuple, Optional

import numpy as np
import pytest
from pydantic import BaseModel

from zenml.artifacts import DataArtifact, ModelArtifact
from zenml.exceptions import (
    ConfigurationError,
    MissingStepParameterError,
    StepContextError,
    StepInterfaceError,
)
from zenml.materializers import BaseMaterializer
from zenml.steps import BaseStep, BaseStepConfig, Output, StepContext, clone_step, step


class Config(BaseStepConfig):
    rate: float
    rounds: int = 3


class Split(NamedTuple):
    train: list
    test: list


class Colour(enum.Enum):
    RED = "red"


class Model(BaseModel):
    size: int


def outputs(class_: type[BaseStep]) -> dict[str, Any]:
    return dict(class_.signature.outputs)


def test_outputs_are_read_from_the_return_annotation() -> None:
    @step
    def single() -> int: ...
    @step
    def nothing() -> None: ...
    @step
    def named() -> Output(a=int, b=str): ...
    @step
    def one_named() -> Output(model=int): ...
    @step
    def plain_tuple() -> tuple[int, str]: ...
    @step
    def named_tuple() -> Split: ...
    @step
    def homogeneous() -> tuple[int, ...]: ...
    @step
    def optional() -> int | None: ...

    assert outputs(single) == {"output": int}
    assert outputs(nothing) == {}
    assert outputs(named) == {"a": int, "b": str}
    assert outputs(one_named) == {"model": int}
    assert outputs(plain_tuple) == {"output_0": int, "output_1": str}
    assert outputs(named_tuple) == {"train": list, "test": list}
    assert outputs(homogeneous) == {"output": tuple[int, ...]}
    assert outputs(optional) == {"output": Optional[int]}


def test_arguments_are_inputs_parameters_configuration_or_context() -> None:
    @step
    def all_kinds(data: list, config: Config, context: StepContext, *, factor: int = 2) -> int: ...

    signature = all_kinds.signature
    assert list(signature.arguments) == ["data", "factor"]
    assert signature.config == ("config", Config)
    assert signature.context == "context"
    assert set(all_kinds(Config(rate=1)).parameter_types) == {"data", "factor", "rate", "rounds"}


def test_names_of_the_function_around_are_known() -> None:
    class Local: ...

    @step
    def local(value: Local) -> Local: ...

    assert outputs(local) == {"output": Local}


def test_the_function_is_called_directly() -> None:
    @step
    def double(value: int) -> int:
        return 2 * value

    assert double.entrypoint(3) == 6
    assert double().entrypoint(3) == 6


def test_a_step_may_be_a_class() -> None:
    class Double(BaseStep):
        """Doubles."""

        def entrypoint(self, value: int) -> int:
            return 2 * value

    assert Double().run_entrypoint({"value": 2}, {}) == {"output": 4}
    assert Double.NAME == "Double"
    assert Double().entrypoint(4) == 8


def test_a_clone_has_its_own_name() -> None:
    @step
    def original() -> int:
        return 1

    clone = clone_step(original, "copy")
    assert (original().name, clone().name) == ("original", "copy")
    assert clone().run_entrypoint({}, {}) == {"output": 1}


# Bad input, at definition


def test_a_missing_annotation_is_named_with_its_place() -> None:
    with pytest.raises(
        StepInterfaceError,
        match=r"The step 'bad' \(.*test_steps.py:\d+\) has no annotation for the argument 'x'",
    ):

        @step
        def bad(x) -> int: ...


def test_a_missing_return_annotation() -> None:
    with pytest.raises(StepInterfaceError, match="has no annotation for what it returns"):

        @step
        def bad(x: int): ...


def test_an_annotation_that_leads_nowhere() -> None:
    with pytest.raises(StepInterfaceError, match="name 'Nowhere' is not defined"):

        @step
        def bad(x: Nowhere) -> int: ...  # noqa: F821


def test_arguments_must_have_names() -> None:
    with pytest.raises(StepInterfaceError, match=r"takes \*values"):

        @step
        def bad(*values: int) -> int: ...


def test_a_step_is_called_and_returns() -> None:
    async def waiting() -> int:
        return 1

    def yielding() -> Any:
        yield 1

    with pytest.raises(StepInterfaceError, match=r"'waiting' .* is asynchronous: .*asyncio.run"):
        step(waiting)
    with pytest.raises(StepInterfaceError, match=r"'yielding' .* yields its values: collect them"):
        step(yielding)


def test_one_configuration_and_one_context() -> None:
    with pytest.raises(StepInterfaceError, match="two configurations, 'a' and 'b'"):

        @step
        def bad(a: Config, b: Config) -> int: ...

    with pytest.raises(StepInterfaceError, match="two contexts, 'a' and 'b'"):

        @step
        def bad_too(a: StepContext, b: StepContext) -> int: ...


def test_a_name_is_used_once() -> None:
    with pytest.raises(StepInterfaceError, match="Two outputs of a step are named 'a'"):
        Output(("a", int), ("a", str))
    with pytest.raises(StepInterfaceError, match="'rate' twice: as an argument and in Config"):

        @step
        def bad(rate: float, config: Config) -> int: ...

    with pytest.raises(StepInterfaceError, match="'x' twice: for something that it takes and for an output"):

        @step
        def bad_too(x: int) -> Output(x=int): ...


def test_output_types_name_outputs() -> None:
    with pytest.raises(
        StepInterfaceError, match=r"names 'modle', which is no output of it. Did you mean 'model'"
    ):

        @step(output_types={"modle": ModelArtifact})
        def bad() -> Output(model=int): ...


def test_only_functions_are_decorated() -> None:
    with pytest.raises(StepInterfaceError, match="expected a function"):
        step(Config)  # type: ignore[arg-type]


def test_an_abstract_step_cannot_be_made() -> None:
    class Abstract(BaseStep): ...

    with pytest.raises(StepInterfaceError, match="must implement `entrypoint`"):
        Abstract()


# Bad input, at instantiation


@step
def configured(data: list, config: Config, name: str = "x", colour: Colour = Colour.RED) -> int:
    return len(data)


def test_parameters_are_given_by_name_or_as_a_configuration() -> None:
    assert configured(Config(rate=1)).parameters == {"rate": 1.0, "rounds": 3}
    assert configured(config=Config(rate=1), name="y").parameters == {"rate": 1.0, "rounds": 3, "name": "y"}
    assert configured(rate=2.0).parameters == {"rate": 2.0}


def test_an_unknown_parameter_is_answered_with_the_nearest() -> None:
    with pytest.raises(StepInterfaceError, match="no parameter 'rte'. Did you mean 'rate'"):
        configured(rte=1)


def test_a_configuration_of_another_class() -> None:
    class Other(BaseStepConfig): ...

    with pytest.raises(StepInterfaceError, match="takes a Config, but a Other is given"):
        configured(Other())


@pytest.mark.parametrize("value", ["0.1", None, [1.0], object()])
def test_a_parameter_of_the_wrong_type(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="'rate' of the step 'configured'"):
        configured(rate=value)


def test_a_value_that_is_no_json_cannot_be_a_parameter() -> None:
    @step
    def arrays(values: np.ndarray) -> int: ...

    with pytest.raises(ConfigurationError, match="Make it the output of a step instead"):
        arrays(values=np.zeros(3))


def test_missing_and_wrong_parameters_are_told_apart() -> None:
    with pytest.raises(MissingStepParameterError, match="no value for 'rate'"):
        configured().complete_parameters("s", {"data": None}, {})
    with pytest.raises(ConfigurationError, match="rounds: Input should be a valid integer") as caught:
        configured().complete_parameters("s", {"data": None}, {"rate": 1.0, "rounds": "many"})
    assert not isinstance(caught.value, MissingStepParameterError)
    with pytest.raises(
        StepInterfaceError, match="no input for 'data': give it the output of a step, or a value of type list"
    ):
        configured(rate=1.0).complete_parameters("s", {}, {})


@pytest.mark.parametrize(
    ("annotation", "value", "plain"),
    [
        (int, 1, 1),
        (float, 1.0, 1.0),
        (str, "日本", "日本"),
        (Optional[int], None, None),
        (list[int], [1], [1]),
        (tuple[int, str], (1, "a"), [1, "a"]),
        (dict[str, float], {"a": 0.5}, {"a": 0.5}),
        (Colour, Colour.RED, "red"),
        (dt.date, dt.date(2026, 1, 2), "2026-01-02"),
        (Model, Model(size=1), {"size": 1}),
        (bytes, b"a", "a"),
        (Any, {"a": [None]}, {"a": [None]}),
    ],
)
def test_parameters_become_json_and_come_back(annotation: Any, value: Any, plain: Any) -> None:
    @step
    def given(value: annotation) -> int:
        received.append(value)
        return 0

    received: list[Any] = []
    parameters = given(value=value).complete_parameters("s", {}, {})
    assert parameters == {"value": plain}
    given().run_entrypoint({}, parameters)
    assert received == [value]
    assert type(received[0]) is type(value)


# Outputs at run time


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (1, "must return a tuple of 2 values; it returned a int"),
        ((1,), "it returned 1 values"),
        ("ab", "it returned a str"),
        ((1, 2), r"Wrong type for output 'b' of step 'two' \(expected type: str, actual type: int\)"),
    ],
)
def test_what_a_step_returns_is_checked(returned: Any, message: str) -> None:
    @step
    def two(value: Any) -> Output(a=int, b=str):
        return value

    with pytest.raises(StepInterfaceError, match=message):
        two().run_entrypoint({"value": returned}, {})


def test_a_step_that_returns_none_returns_none() -> None:
    @step
    def nothing() -> None:
        return 1

    with pytest.raises(StepInterfaceError, match="declared to return None"):
        nothing().run_entrypoint({}, {})


def test_what_a_step_is_given_is_checked() -> None:
    @step
    def takes(value: int) -> int:
        return value

    with pytest.raises(StepInterfaceError, match="Wrong type for input 'value' of step 'takes'"):
        takes().run_entrypoint({"value": "a"}, {})


def test_there_is_a_context_inside_of_a_step_only() -> None:
    with pytest.raises(StepContextError):
        StepContext()


def test_raw_artifacts_are_known_by_their_annotation() -> None:
    @step
    def raw(artifact: DataArtifact, value: int) -> int: ...

    assert raw.signature.raw_inputs == {"artifact"}


def test_a_step_outside_of_a_pipeline_is_not_executed_by_accident() -> None:
    @step
    def alone() -> int:
        return 1

    with pytest.raises(StepInterfaceError, match=r"call `alone.entrypoint\(...\)`"):
        alone()()


def test_materializers_are_chosen_for_outputs_that_exist() -> None:
    class Own(BaseMaterializer):
        ASSOCIATED_TYPES = (Model,)

    @step
    def making() -> Output(model=Model): ...

    assert making().with_return_materializers(Own).return_materializers == {"model": (Own,)}
    with pytest.raises(StepInterfaceError, match="no output 'modle' .*Did you mean 'model'"):
        making().with_return_materializers({"modle": Own})
    with pytest.raises(StepInterfaceError, match="expected a subclass of BaseMaterializer"):
        making().with_return_materializers(Model)
    assert making().return_materializers == {}, "a choice is the instance's own"


def test_a_step_that_knows_its_context_is_not_cached_unless_it_says_so() -> None:
    @step
    def curious(context: StepContext) -> int: ...
    @step(enable_cache=True)
    def sure(context: StepContext) -> int: ...
    @step(enable_cache=False)
    def never() -> int: ...

    assert [class_().enable_cache for class_ in (curious, sure, never)] == [False, True, False]
