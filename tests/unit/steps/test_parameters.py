"""Parameters: what a step is given in code or in a file becomes JSON, and is the same again where the step runs."""

import enum
import json
import math
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

from zenml.exceptions import ConfigurationError
from zenml.model.deployment import Deployment, StackSpec, StepSpec
from zenml.steps import BaseStepConfig, step
from zenml.steps.parameters import from_json, to_json


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Layer(BaseModel):
    width: int
    names: tuple[str, ...] = ()


_text = st.text(st.characters(exclude_categories=["Cs"]))
_finite = st.floats(allow_nan=False, allow_infinity=False)
_cases = st.one_of(
    st.tuples(st.just(int), st.integers(-(2**60), 2**60)),
    st.tuples(st.just(float), _finite),
    st.tuples(st.just(str), _text),
    st.tuples(st.just(bool), st.booleans()),
    st.tuples(st.just(int | None), st.none() | st.integers(-(2**60), 2**60)),
    st.tuples(st.just(list[float]), st.lists(_finite)),
    st.tuples(st.just(dict[str, int]), st.dictionaries(_text, st.integers(-(2**60), 2**60))),
    st.tuples(st.just(dict[int, str]), st.dictionaries(st.integers(-(2**60), 2**60), _text)),
    st.tuples(st.just(tuple[int, str]), st.tuples(st.integers(-(2**60), 2**60), _text)),
    st.tuples(st.just(set[str]), st.sets(_text)),
    st.tuples(st.just(Literal["a", "b"]), st.sampled_from(["a", "b"])),
    st.tuples(st.just(Colour), st.sampled_from(Colour)),
    st.tuples(st.just(datetime), st.datetimes()),
    st.tuples(st.just(timedelta), st.timedeltas(timedelta(days=-1000), timedelta(days=1000))),
    st.tuples(st.just(UUID), st.uuids()),
    st.tuples(st.just(Layer), st.builds(Layer, width=st.integers(0, 99), names=st.lists(_text).map(tuple))),
    st.tuples(
        st.just(Any),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**60), 2**60) | _finite | _text,
            lambda inner: st.lists(inner) | st.dictionaries(_text, inner),
            max_leaves=8,
        ),
    ),
)


@given(_cases)
def test_every_parameter_survives_the_deployment(case: tuple[Any, Any]) -> None:
    annotation, value = case
    spec = StepSpec("s", "module:s", "s", parameters={"p": to_json("s", "p", value, annotation)})
    deployment = Deployment("p", "r", UUID(int=1), (spec,), StackSpec("stack", {}))

    arrived = Deployment.from_document(json.loads(json.dumps(deployment.to_document())))

    assert arrived == deployment
    back = from_json("s", "p", arrived.step("s").parameters["p"], annotation)
    assert back == value
    assert type(back) is type(value)
    assert replace(arrived, run_name="other") != deployment


@pytest.mark.parametrize(
    ("value", "annotation", "message"),
    [
        (math.inf, float, "cannot be inf: parameters are JSON data"),
        (math.nan, float, "cannot be nan: parameters are JSON data"),
        (object(), Any, "cannot be a object: parameters are JSON data or pydantic models"),
        ((1, 2), Any, r"is a tuple, but what can be kept of it would come back as \[1, 2\]"),
        (Layer(width=1), Any, ".* would come back as {'names': \\[\\], 'width': 1}. Annotate the argument"),
        ("12", int, "is '12', expected int"),
        (["x"] * 1000, list[int], r"is \['x', 'x', 'x', 'x', 'x', 'x', \.\.\.\], expected list\[int\]"),
    ],
)
def test_what_would_not_come_back_is_refused(value: Any, annotation: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"The parameter 'p' of the step 's' {message}"):
        to_json("s", "p", value, annotation)


def test_a_secret_is_neither_kept_nor_shown() -> None:
    class Config(BaseStepConfig):
        token: SecretStr = SecretStr("")

    @step
    def use(config: Config) -> None: ...

    assert use().complete_parameters("use", {}, {}) == {"token": ""}
    with pytest.raises(
        ConfigurationError, match="'token' of the step 'use' is a secret: .*zenml secret register"
    ) as caught:
        use(Config(token=SecretStr("canary"))).complete_parameters("use", {}, {})
    assert "canary" not in str(caught.value)


def test_a_secret_is_kept_as_the_reference_to_it() -> None:
    @step
    def use(token: SecretStr, other: SecretStr | None = None) -> None: ...

    given = {"token": "{{service.token}}"}
    assert use(**given).complete_parameters("use", {}, {}) == {"token": "{{service.token}}", "other": None}
    assert use(token=SecretStr("{{env.X}}")).complete_parameters("use", {}, {})["token"] == "{{env.X}}"
    with pytest.raises(ConfigurationError) as refused:
        use(token="canary")
    assert str(refused.value) == (
        "The parameter 'token' of the step 'use' is a secret: it is given as a reference, never as the value itself. Write "
        'token="{{NAME.token}}" and register the secret with `zenml secret register NAME --token=...`, or write '
        'token="{{env.X}}" for the environment variable X.'
    )


@pytest.mark.parametrize(
    ("value", "annotation"), [(["canary"], list[SecretStr]), ({"a": "canary"}, dict[str, SecretStr])]
)
def test_secrets_inside_of_other_values_are_refused(value: Any, annotation: Any) -> None:
    with pytest.raises(ConfigurationError, match="with the type SecretStr") as refused:
        to_json("s", "p", value, annotation)
    assert "canary" not in str(refused.value)


def test_a_set_is_written_in_the_same_order_by_every_process() -> None:
    script = "from zenml.steps.parameters import to_json; print(to_json('s', 'p', set('abcdefgh'), set[str]))"
    written = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert written == {f"{list('abcdefgh')}\n"}


def test_a_configuration_may_give_its_fields_other_names() -> None:
    from pydantic import Field

    class Config(BaseStepConfig):
        rate: float = Field(1.0, alias="learningRate")

    @step
    def train(config: Config) -> float:
        return config.rate

    made = train(Config(learningRate=3))  # type: ignore[call-arg]
    parameters = made.complete_parameters("train", {}, {})

    assert parameters == {"rate": 3.0}
    assert made.run_entrypoint({}, parameters) == {"output": 3.0}
