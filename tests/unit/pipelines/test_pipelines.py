"""Pipelines: how they are put together, and what they are compiled to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    DuplicatedConfigurationError,
    PipelineConfigurationError,
    PipelineInterfaceError,
    StackValidationError,
    StepInterfaceError,
    UnreadableFileError,
)
from zenml.model.deployment import Deployment, StackSpec
from zenml.model.json import canonical
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import BasePipeline, Schedule, pipeline
from zenml.pipelines.compiler import compile_pipeline
from zenml.repository import Repository
from zenml.steps import BaseStepConfig, Output, step


class Config(BaseStepConfig):
    rate: float = 0.5


@step
def source() -> Output(number=int, text=str):
    return 1, "a"


@step
def number() -> int:
    return 1


@step
def increase(value: int, by: int = 1) -> int:
    return value + by


@step
def trained(value: int, config: Config) -> float:
    return value * config.rate


@step
def joined(left: int, right: int) -> int:
    return left + right


@step
def report(text: str) -> None: ...


def nothing() -> None: ...


def compiled(instance: BasePipeline, **arguments: Any) -> Deployment:
    deployment = compile_pipeline(
        instance,
        **{
            "stack": StackSpec("s", {}),
            "run_name": "r",
            "run_uuid": uuid4(),
            "runtime_configuration": {},
            "enable_cache": instance.enable_cache,
            **arguments,
        },
    ).deployment
    assert Deployment.from_document(json.loads(canonical(deployment.to_document()))) == deployment
    return deployment


def wiring(deployment: Deployment) -> dict[str, dict[str, str]]:
    return {s.name: {n: f"{i.step}.{i.output}" for n, i in s.inputs.items()} for s in deployment.steps}


def test_steps_may_be_passed_in() -> None:
    @pipeline
    def template(first: Any, second: Any, third: Any) -> None:
        amount, text = first()
        second(amount)
        third(text)

    made = template(first=source(), second=trained(Config(rate=2)), third=report())
    assert wiring(compiled(made)) == {
        "first": {},
        "second": {"value": "first.number"},
        "third": {"text": "first.text"},
    }
    assert compiled(made).step("second").parameters == {"rate": 2.0}
    assert list(made.steps) == ["first", "second", "third"]


def test_steps_may_be_called_by_name_and_more_than_once() -> None:
    @pipeline
    def direct(by: int = 2) -> None:
        """Counts."""
        value = number()
        value = increase(value, by=by)
        value = increase(value)
        trained(value, config=Config(rate=3))
        increase(value, id="last")

    deployment = compiled(direct(by=5))
    assert wiring(deployment) == {
        "number": {},
        "increase": {"value": "number.output"},
        "increase_2": {"value": "increase.output"},
        "trained": {"value": "increase_2.output"},
        "last": {"value": "increase_2.output"},
    }
    assert deployment.step("increase").parameters == {"by": 5}
    assert deployment.step("increase_2").parameters == {"by": 1}
    assert deployment.step("trained").parameters == {"rate": 3.0}
    assert deployment.docstring == "Counts."


def test_one_instance_may_be_used_for_several_arguments() -> None:
    @pipeline
    def template(one: Any, two: Any) -> None:
        one(two())

    assert list(wiring(compiled(template(one=increase(), two=number())))) == ["two", "one"]


def test_a_pipeline_may_be_a_class() -> None:
    class Counting(BasePipeline):
        def connect(self, first: Any) -> None:
            increase(first())

    assert compiled(Counting(first=number())).pipeline == "Counting"


def test_independent_steps_keep_the_order_of_the_calls() -> None:
    @pipeline
    def fan() -> None:
        b = number(id="b")
        a = number(id="a")
        joined(a, b, id="join")
        number(id="late")

    assert [s.name for s in compiled(fan()).steps] == ["b", "a", "join", "late"]


@pytest.mark.parametrize("how", ["output", "step", "name", "class", "keyword"])
def test_an_order_without_data(how: str) -> None:
    @pipeline
    def ordered() -> None:
        if how == "keyword":
            early = number()
            report("x", after=[early])
            return
        late = report("x")
        early = number()
        late.after({"output": early, "step": early.invocation, "name": "number", "class": number}[how])

    deployment = compiled(ordered())
    assert [s.name for s in deployment.steps] == ["number", "report"]
    assert deployment.step("report").upstream == ("number",)


def test_a_step_that_is_called_by_name_is_ordered_by_name() -> None:
    @pipeline
    def ordered() -> None:
        report("x")
        report("y")
        number()
        report.after(number)

    deployment = compiled(ordered())
    assert [s.name for s in deployment.steps] == ["number", "report", "report_2"]
    assert deployment.step("report_2").upstream == ("number",)


def test_a_step_cannot_wait_for_itself() -> None:
    def itself() -> None:
        number()
        number.after(number)

    assert "in a circle: 'number' → 'number'" in refusal(itself, PipelineInterfaceError)


def test_a_pipeline_is_no_step() -> None:
    @pipeline
    def inner() -> None:
        number()

    made = inner()

    def outer() -> None:
        inner()

    def running() -> None:
        made.run()

    for function in (outer, running):
        assert "'inner' is used inside of another one's function" in refusal(function, PipelineInterfaceError)


def test_state_never_leaks_into_classes(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text("steps: {increase: {parameters: {by: 7}}}")

    @pipeline
    def counting() -> None:
        increase(number())

    configured = counting().with_config(file)
    assert compiled(configured).step("increase").parameters == {"by": 7}
    assert compiled(counting()).step("increase").parameters == {"by": 1}
    assert compiled(configured) != compiled(counting())


# Bad input


def refusal(function: Any, error: type[Exception] = StepInterfaceError) -> str:
    with pytest.raises(error) as caught:
        compiled(pipeline(function)())
    return str(caught.value)


def test_a_wrong_type_names_both_steps_and_both_types() -> None:
    def wrong() -> None:
        report(number())

    assert refusal(wrong) == (
        "The step 'report' takes 'text' as str, but the output 'output' of the step 'number' is int."
    )


def test_a_missing_input() -> None:
    def missing() -> None:
        increase()

    assert "The step 'increase' has no input for 'value'" in refusal(missing)


def test_too_many_and_unknown_inputs() -> None:
    def too_many() -> None:
        number(1)

    def unknown() -> None:
        increase(number(), bye=2)

    def twice() -> None:
        increase(1, value=2)

    assert "takes 0 inputs (none), but 1 are given" in refusal(too_many)
    assert "takes no 'bye'. Did you mean 'by'?" in refusal(unknown)
    assert "is given 'value' twice" in refusal(twice)


def test_all_outputs_of_a_step_for_one_input() -> None:
    def whole() -> None:
        increase(source())

    assert "all outputs of the step 'source' (number, text)" in refusal(whole)


def test_an_input_from_a_step_without_outputs() -> None:
    def nothing() -> None:
        increase(report("x"))

    assert "from the step 'report', which has no output" in refusal(nothing)


def test_a_circle_is_named() -> None:
    def circle() -> None:
        a = number(id="a")
        b = increase(a, id="b")
        c = increase(b, id="c")
        a.invocation.after(c)

    assert "in a circle: 'a' → 'b' → 'c' → 'a'" in refusal(circle, PipelineInterfaceError)


def test_a_value_of_the_run_cannot_be_used_before_it() -> None:
    def early() -> None:
        if number():
            increase(1)

    assert "only the run will know" in refusal(early, PipelineInterfaceError)


def test_after_names_what_is_there() -> None:
    def nowhere() -> None:
        number()
        report("x", after="numbr")

    assert "'numbr', which the pipeline 'nowhere' does not call. Did you mean 'number'?" in refusal(
        nowhere, PipelineInterfaceError
    )


def test_an_id_is_given_once() -> None:
    def twice() -> None:
        number(id="a")
        number(id="a")

    assert "Two steps of the pipeline 'twice' have the id 'a'" in refusal(twice, PipelineInterfaceError)


def test_instantiation() -> None:
    @pipeline
    def template(first: Any, second: Any) -> None:
        first()

    for arguments, message in [
        ({}, "is not given 'first', 'second'"),
        ({"first": number, "second": number()}, "give an instance, `first=number\\(\\)`"),
        ({"frist": number()}, "Did you mean 'first'"),
    ]:
        with pytest.raises(PipelineInterfaceError, match=message):
            template(**arguments)
    with pytest.raises(PipelineInterfaceError, match="given the step 'second', but never calls it"):
        compiled(template(first=number(), second=number()))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("steps: {incrase: {}}", PipelineConfigurationError, "no step 'incrase'. Did you mean 'increase'"),
        (
            "steps: {increase: {parameters: {bye: 1}}}",
            PipelineConfigurationError,
            "no parameter 'bye'. Did you mean 'by'",
        ),
        (
            "steps: {increase: {parameters: {value: 1}}}",
            PipelineConfigurationError,
            "is the output of another step",
        ),
        (
            "steps: {increase: {params: {}}}",
            PipelineConfigurationError,
            "unknown key 'params'. Did you mean 'parameters'",
        ),
        ("stepz: {}", PipelineConfigurationError, "unknown key 'stepz'. Did you mean 'steps'"),
        ("steps: [1]", PipelineConfigurationError, "expected a mapping"),
        ("enable_cache: 3", PipelineConfigurationError, "expected true or false"),
        ("steps: {a: [}", UnreadableFileError, r"c.yaml, line 1: this is no valid YAML"),
        (
            "steps: {trained: {parameters: {rate: 1}}}",
            DuplicatedConfigurationError,
            "'rate' of the step 'trained' is set in code",
        ),
    ],
)
def test_a_configuration_file_is_refused(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(text)

    @pipeline
    def counting(trained: Any) -> None:
        trained(increase(number()))

    with pytest.raises(error, match=message):
        counting(trained=trained(Config())).with_config(file)


def test_a_configuration_file_may_win_and_may_decide_on_the_cache(tmp_path: Path) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(
        "enable_cache: false\nsteps: {trained: {parameters: {rate: 1e-3}}, number: {enable_cache: false}}"
    )

    @pipeline
    def counting(trained: Any) -> None:
        trained(increase(number()))

    made = counting(trained=trained(Config())).with_config(file, overwrite_step_parameters=True)
    deployment = compiled(made, enable_cache=True)
    assert made.enable_cache is False
    assert deployment.step("trained").parameters == {"rate": 0.001}
    assert [s.enable_cache for s in deployment.steps] == [False, True, True]


def test_a_missing_configuration_file() -> None:
    with pytest.raises(UnreadableFileError, match="'nowhere.yaml' cannot be read"):
        pipeline(nothing)().with_config("nowhere.yaml")


def test_requirements(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("# a comment\n\nnumpy\n  pandas>=2 \n")

    @pipeline(requirements=["a"], requirements_file=file, required_integrations=["sklearn"])
    def needing() -> None: ...

    assert {"a", "numpy", "pandas>=2"} < needing().requirements
    with pytest.raises(UnreadableFileError, match="'absent.txt'"):
        pipeline(requirements="absent.txt")(nothing)
    with pytest.raises(DoesNotExistException, match="no integration 'sklaern'. Did you mean 'sklearn'"):
        _ = pipeline(required_integrations=["sklaern"])(nothing)().requirements


def test_running_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def small() -> None:
        number()

    with pytest.raises(PipelineConfigurationError, match="cannot be run by a schedule: another process"):
        small().run(schedule=Schedule(cron_expression="* * * * *"))
    with pytest.raises(ConfigurationError, match="'option' of run"):
        small().run(option=object())
    with pytest.raises(Exception, match="cannot be the name of a run"):
        small().run(run_name="../x")
    monkeypatch.setenv("ZENML_PREVENT_PIPELINE_EXECUTION", "true")
    assert small().run() is None
    assert Repository().get_pipelines() == []


def test_a_step_operator_must_be_there() -> None:
    @step(custom_step_operator="gpu")
    def heavy() -> int: ...

    @pipeline
    def training() -> None:
        heavy()

    with pytest.raises(
        StackValidationError, match="Step 'heavy' requires custom step operator 'gpu' which is not configured"
    ):
        training().run()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "needs a cron_expression"),
        ({"start_time": "2026-01-01T00:00:00"}, "needs a cron_expression"),
        ({"start_time": "2026-01-01T00:00:00", "interval_second": 0}, "longer than nothing"),
        (
            {"cron_expression": "@daily", "start_time": "2026-01-02", "end_time": "2026-01-01"},
            "after start_time",
        ),
        ({"cron_expression": "@daily", "timezone": "Europe/Berln"}, "no time zone 'Europe/Berln'"),
        ({"cron_expression": "@daily", "cathcup": True}, "cathcup"),
    ],
)
def test_schedules(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Schedule(**arguments)


def test_a_schedule_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    @pipeline
    def small() -> None:
        number()

    daily = Schedule(cron_expression="@daily")
    with pytest.raises(
        ConfigurationError, match=r"'mine' cannot be that of every run of a schedule: name the schedule"
    ):
        small().run(run_name="mine", schedule=daily)
    monkeypatch.setattr(LocalOrchestrator, "takes_schedules", False)
    with pytest.raises(StackValidationError, match="of flavor 'local' cannot run pipelines by a schedule"):
        small().run(schedule=daily)


def test_times_of_a_schedule_are_in_its_zone() -> None:
    schedule = Schedule(cron_expression="@daily", start_time="2026-07-01", timezone="Asia/Tokyo")
    assert schedule.utc_start_time == "2026-06-30T15:00:00+00:00"
    assert schedule.utc_end_time is None


def test_a_schedule_with_two_rules_goes_by_cron() -> None:
    with pytest.warns(UserWarning, match="the cron expression, '@daily', is used"):
        Schedule(cron_expression="@daily", start_time="2026-07-01", interval_second=60)


@given(st.lists(st.lists(st.integers(0, 100), max_size=3), min_size=1, max_size=12))
def test_every_order_is_topological_and_stable(edges: list[list[int]]) -> None:
    """Each step waits for some of those that were called before it."""
    before = {
        number: {edge % number for edge in some} if number else set() for number, some in enumerate(edges)
    }

    @pipeline
    def random_graph() -> None:
        handles = []
        for number_, waits in before.items():
            handles.append(number(id=f"s{number_}", after=[handles[w] for w in waits]))

    deployment = compiled(random_graph())
    assert [s.name for s in deployment.steps] == [f"s{n}" for n in before], (
        "calling order is topological here"
    )
    assert {s.name: set(s.upstream) for s in deployment.steps} == {
        f"s{n}": {f"s{w}" for w in waits} for n, waits in before.items()
    }


def test_a_long_chain_is_compiled_without_recursion() -> None:
    @pipeline
    def long() -> None:
        value = number()
        for _ in range(3000):
            value = increase(value)

    assert len(compiled(long()).steps) == 3001
