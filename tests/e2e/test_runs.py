"""A pipeline on the default stack, from the outside: what runs, what is remembered, what is raised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, ClassVar

import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    ArtifactCorruptedError,
    DuplicateRunNameError,
    ForbiddenRepositoryAccessError,
    StackValidationError,
    StepInterfaceError,
)
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import Output, StepContext, step


class Calls(list[str]):
    """What was called. No plain data: as a list, it would count for the cache by its content."""


CALLS = Calls()


@pytest.fixture(autouse=True)
def _no_calls() -> None:
    CALLS.clear()


@step
def one() -> int:
    CALLS.append("one")
    return 1


@step
def double(value: int) -> int:
    CALLS.append("double")
    return 2 * value


@step
def add(left: int, right: int) -> int:
    CALLS.append("add")
    return left + right


@step
def break_down(value: int) -> int:
    CALLS.append("break_down")
    raise ZeroDivisionError(f"no {value}")


@pipeline
def diamond() -> None:
    source = one()
    left = double(source)
    right = double(source)
    add(left, right)


@pipeline
def broken() -> None:
    source = one()
    bad = break_down(source)
    double(bad)
    double(double(source))


def statuses(run: Any) -> dict[str, str]:
    return {view.name: str(view.status) for view in run.steps}


def test_a_run_returns_its_view() -> None:
    run = diamond().run(run_name="first")
    assert (run.name, run.status) == ("first", ExecutionStatus.COMPLETED)
    assert statuses(run) == {
        "one": "completed",
        "double": "completed",
        "double_2": "cached",
        "add": "completed",
    }
    assert run.get_step("add").output.read() == 4
    assert [parent.name for parent in run.get_step("add").parent_steps] == ["double", "double_2"]


def test_equal_work_is_done_once_even_within_a_run() -> None:
    diamond().run()
    assert CALLS == ["one", "double", "add"]


def test_a_second_run_is_cached_and_gives_the_same_values() -> None:
    first = diamond().run()
    second = diamond().run()
    assert CALLS == ["one", "double", "add"]
    assert set(statuses(second).values()) == {"cached"}
    assert second.status is ExecutionStatus.COMPLETED
    assert second.get_step("add").output.read() == 4
    assert second.get_step("add").output.id == first.get_step("add").output.id


@pytest.mark.parametrize("again", [False, True])
def test_caching_can_be_decided_at_run_time(again: bool) -> None:
    diamond().run()
    CALLS.clear()
    diamond().run(enable_cache=again)
    assert ([] if again else ["one", "double", "double", "add"]) == CALLS


def test_a_step_without_cache_runs_each_time_and_its_equal_result_keeps_the_rest() -> None:
    @step(enable_cache=False)
    def fresh() -> int:
        CALLS.append("fresh")
        return 5

    @pipeline
    def partly() -> None:
        double(fresh())

    partly().run()
    run = partly().run()
    assert CALLS == ["fresh", "double", "fresh"]
    assert statuses(run) == {"fresh": "completed", "double": "cached"}


def test_a_hit_whose_file_is_gone_is_a_miss() -> None:
    run = diamond().run()
    shutil.rmtree(run.get_step("add").output.uri)
    CALLS.clear()
    assert statuses(diamond().run())["add"] == "completed"
    assert CALLS == ["add"]


def test_a_flipped_bit_is_found_at_the_read() -> None:
    run = diamond().run()
    (file,) = [path for path in Path(run.get_step("one").output.uri).rglob("*") if path.is_file()]
    data = bytearray(file.read_bytes())
    data[0] ^= 1
    file.write_bytes(data)
    with pytest.raises(ArtifactCorruptedError, match=file.name):
        run.get_step("one").output.read()


def test_parameters_count() -> None:
    @step
    def scaled(value: int, factor: int = 3) -> int:
        return value * factor

    @pipeline
    def scaling(factor: int = 3) -> None:
        scaled(one(), factor=factor)

    assert scaling().run().get_step("scaled").output.read() == 3
    changed = scaling(factor=4).run()
    assert statuses(changed) == {"one": "cached", "scaled": "completed"}
    assert changed.get_step("scaled").parameters == {"factor": 4}


def test_a_failing_step_raises_its_own_exception_after_the_others_have_ended() -> None:
    with pytest.raises(ZeroDivisionError, match="no 1") as caught:
        broken().run(run_name="fails")
    assert any("fails" in note and "break_down" in note for note in caught.value.__notes__)
    run = Repository().get_pipeline("broken").get_run("fails")
    assert run.status is ExecutionStatus.FAILED
    assert statuses(run) == {
        "one": "completed",
        "break_down": "failed",
        "double": "skipped",
        "double_2": "completed",
        "double_3": "completed",
    }
    error = run.get_step("break_down").error
    assert error.type == "ZeroDivisionError"
    assert "in break_down" in error.traceback
    assert "engine" not in error.traceback, "the traceback begins in the user's code"
    assert "break_down" in run.get_step("double").reason


def test_a_failed_step_is_tried_again_by_the_next_run() -> None:
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            broken().run()
    assert CALLS.count("break_down") == 2
    assert CALLS.count("one") == 1


def test_a_run_name_is_taken_once() -> None:
    diamond().run(run_name="taken")
    with pytest.raises(DuplicateRunNameError, match="taken"):
        diamond().run(run_name="taken")
    assert len(Repository().get_pipeline("diamond").runs) == 1


def test_an_output_of_the_wrong_type_fails_the_step() -> None:
    @step
    def liar() -> int:
        return "no number"  # type: ignore[return-value]

    @pipeline
    def lying() -> None:
        liar()

    with pytest.raises(StepInterfaceError, match=r"liar.*int.*str"):
        lying().run()


def test_order_can_be_given_without_data() -> None:
    order = Calls()

    @step(enable_cache=False)
    def late() -> None:
        order.append("late")

    @step(enable_cache=False)
    def early() -> None:
        order.append("early")

    @pipeline
    def ordered(late: Any, early: Any) -> None:
        late()
        early()
        late.after(early)

    ordered(late=late(), early=early()).run()
    assert order == ["early", "late"]


def test_a_step_knows_where_it_runs() -> None:
    seen: Any = {}

    @step
    def curious(context: StepContext) -> Output(a=int, b=int):
        seen["name"] = context.step_name
        seen["uri"] = context.get_output_artifact_uri("b")
        repository = Repository()
        seen["stack"] = repository.active_stack.name
        with pytest.raises(ForbiddenRepositoryAccessError):
            repository.activate_stack("default")
        return 1, 2

    @pipeline
    def inquiry() -> None:
        curious()

    run = inquiry().run()
    assert seen == {"name": "curious", "uri": run.get_step("curious").outputs["b"].uri, "stack": "default"}
    assert list(run.get_step("curious").outputs) == ["a", "b"]


class Recorder(LocalOrchestrator):
    """Writes down which of its hooks are called."""

    FLAVOR: ClassVar[str] = "recorder"
    events: ClassVar[list[Any]] = []
    running: bool = True

    @property
    def is_running(self) -> bool:
        return self.running

    def prepare_pipeline_deployment(
        self, pipeline: Any, stack: Any, runtime_configuration: dict[str, Any]
    ) -> None:
        self.events.append(("deployment", dict(runtime_configuration)))
        runtime_configuration["added"] = True

    def prepare_pipeline_run(self) -> None:
        self.events.append("run")

    def prepare_step_run(self) -> None:
        self.events.append("step")

    def cleanup_step_run(self) -> None:
        self.events.append("step ended")

    def cleanup_pipeline_run(self) -> None:
        self.events.append("run ended")


def recording_stack(**fields: Any) -> None:
    Recorder.events.clear()
    repository = Repository()
    repository.register_flavor(f"{__name__}.Recorder")
    active = repository.active_stack
    stack = Stack(
        "recording",
        orchestrator=Recorder(name="recorder", **fields),
        metadata_store=active.metadata_store,
        artifact_store=active.artifact_store,
    )
    repository.register_stack(stack)
    repository.activate_stack("recording")


def test_components_are_told_of_a_run_and_get_its_configuration() -> None:
    recording_stack()

    @pipeline
    def small() -> None:
        double(one())

    run = small().run(runtime_param_1=3, another_param="luna")
    assert Recorder.events == [
        ("deployment", {"runtime_param_1": 3, "another_param": "luna"}),
        "run",
        *["step", "step ended"] * 2,
        "run ended",
    ]
    assert run.runtime_configuration == {"runtime_param_1": 3, "another_param": "luna", "added": True}


def test_cleanup_is_done_after_a_failure() -> None:
    recording_stack()
    with pytest.raises(ZeroDivisionError):
        broken().run()
    assert Recorder.events[-1] == "run ended"
    assert Recorder.events.count("step") == Recorder.events.count("step ended")


def test_a_component_that_does_not_run_is_refused_before_anything_is_recorded() -> None:
    recording_stack(running=False)
    with pytest.raises(StackValidationError, match="zenml stack up"):
        diamond().run()
    assert Repository().get_pipelines() == []


def test_a_runtime_value_that_cannot_be_kept_is_refused_and_harms_nothing() -> None:
    with pytest.raises(Exception, match="strange"):
        diamond().run(strange=object())
    assert Repository().get_pipelines() == []
    assert diamond().run().status is ExecutionStatus.COMPLETED


def test_an_interrupt_is_recorded() -> None:
    @step
    def interrupted() -> int:
        raise KeyboardInterrupt

    @pipeline
    def interruption() -> None:
        double(interrupted())

    with pytest.raises(KeyboardInterrupt):
        interruption().run()
    run = Repository().get_pipeline("interruption").runs[-1]
    assert str(run.status) == "cancelled"
    assert statuses(run) == {"interrupted": "cancelled", "double": "skipped"}
