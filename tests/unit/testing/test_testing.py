"""The tools for tests of steps and pipelines, as a user of them sees it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from zenml.alerters import BaseAlerter
from zenml.artifacts import DataArtifact
from zenml.config.global_config import GlobalConfiguration
from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    PipelineInterfaceError,
    StackValidationError,
    StepInterfaceError,
)
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import BaseStep, BaseStepConfig, Output, Retry, StepContext, step
from zenml.testing import (
    assert_cached,
    assert_ran,
    assert_skipped,
    failing,
    isolated_stack,
    last_run,
    replacing,
    run_step,
)


class TrainerConfig(BaseStepConfig):
    rate: float = 0.5


@step
def load() -> Output(data=np.ndarray, count=int):
    return np.arange(3), 2


@step
def train(data: np.ndarray, count: int, config: TrainerConfig) -> float:
    return float(data.sum()) * count * config.rate


@step
def report(score: float) -> None:
    assert score > 0, "no score"


@pipeline
def training():
    report(train(*load()))


# The world


def files_below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def no_root():
    yield
    Repository().activate_root(None)


@pytest.mark.usefixtures("no_root")
def test_nothing_of_the_users_is_read_or_written(home, monkeypatch, tmp_path):
    (tmp_path / "project" / ".zen").mkdir()
    monkeypatch.setenv("ZENML_ACTIVATED_STACK", "production")
    monkeypatch.setenv("ZENML_PREVENT_PIPELINE_EXECUTION", "false")
    Repository().activate_root(tmp_path / "project")
    before = dict(os.environ)

    with isolated_stack() as stack:
        assert "ZENML_ACTIVATED_STACK" not in os.environ
        assert Repository().active_stack.artifact_store == stack.artifact_store
        assert not GlobalConfiguration().config_directory.is_relative_to(home)
        training().run()
        assert len(Repository().get_pipelines()) == 1
        place = Path(stack.artifact_store.path)

    assert not place.exists()
    assert dict(os.environ) == before
    assert Repository().root == tmp_path / "project"
    assert files_below(home) == []


def test_a_world_inside_of_a_world_is_another_one():
    with isolated_stack() as outer:
        training().run()
        with isolated_stack() as inner:
            assert inner.artifact_store.path != outer.artifact_store.path
            assert Repository().get_pipelines() == []
        assert len(Repository().get_pipelines()) == 1


def test_a_world_ends_also_with_an_error(home):
    before = dict(os.environ)
    with pytest.raises(ZeroDivisionError), isolated_stack():
        1 / 0  # noqa: B018
    assert dict(os.environ) == before


def test_a_process_that_is_started_is_part_of_the_world(tmp_path):
    program = "from zenml.testing import last_run; print(last_run().name)"
    with isolated_stack(tmp_path / "world"):
        run = training().run()
        told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == run.name
    assert files_below(tmp_path / "world")


class Postbox(BaseAlerter):
    FLAVOR: ClassVar[str] = "postbox"
    address: str
    password: str = ""

    def post(self, message, config=None):
        return self.password == "letmein"


def test_a_stack_of_ones_own_components_and_secrets():
    secrets = {"post": {"password": "letmein"}}
    alerter = Postbox(name="post", address="here", password="{{post.password}}")
    with isolated_stack(secrets=secrets, alerter=alerter) as stack:
        assert stack.alerter.post("hello")
        assert Repository().active_stack.alerter.post("hello")
        assert run_step(read_secret) == "letmein"


def test_a_secret_in_clear_is_kept_as_a_reference():
    with isolated_stack(
        secrets={"any": {"x": "y"}}, alerter=Postbox(name="post", address="here", password="letmein")
    ):
        assert Repository().active_stack.alerter.post("hello")
        kept = GlobalConfiguration().get_profile("default").store_url.removeprefix("file://")
        assert all("letmein" not in path.read_text() for path in files_below(Path(kept)))


@step
def read_secret(context: StepContext) -> str:
    return context.stack.secrets_manager.get_secret("post").content["password"]


def test_a_component_that_does_not_fit_is_refused():
    with (
        pytest.raises(
            ConfigurationError, match="no type of stack component 'alerters'. Did you mean 'alerter'?"
        ),
        isolated_stack(alerters=Postbox(name="post", address="here")),
    ):
        pass
    with (
        pytest.raises(StackValidationError, match="cannot be the orchestrator of the stack"),
        isolated_stack(orchestrator=Postbox(name="post", address="here")),
    ):
        pass


# A step


def test_a_step_runs_through_the_whole_engine():
    data = np.arange(4)
    assert run_step(train, data=data, count=1, rate=2) == 12.0
    assert run_step(train, data=data, count=1, config=TrainerConfig(rate=2)) == 12.0
    assert run_step(train(rate=2), data=data, count=1) == 12.0
    loaded, count = run_step(load)
    assert (loaded.tolist(), count) == ([0, 1, 2], 2)
    assert run_step(report, score=1.0) is None
    assert train.entrypoint(data, 1, TrainerConfig()) == 3.0


class Unwritable:
    def __reduce__(self):
        raise TypeError("this cannot be written")


@step
def make_unwritable() -> Unwritable:
    return Unwritable()


@step
def take(value: object) -> object:
    return value


@step
def look(value: DataArtifact) -> str:
    return Path(value.uri).name


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_a_value_is_written_and_read_as_between_steps():
    value = [1, (2, {"x"})]
    again = run_step(take, value=value)
    assert again == value
    assert again is not value
    assert run_step(look, value=7) == "output"
    with pytest.raises(Exception, match="this cannot be written"):
        run_step(make_unwritable)
    with pytest.raises(Exception, match="this cannot be written"):
        run_step(take, value=Unwritable())


def test_a_step_that_is_run_alone_is_never_taken_from_the_cache(tmp_path):
    @step
    def count_up() -> int:
        with (tmp_path / "calls").open("a") as file:
            file.write("x")
        return (tmp_path / "calls").stat().st_size

    with isolated_stack():
        assert [run_step(count_up) for _ in range(3)] == [1, 2, 3]


def test_arguments_that_a_step_does_not_take_are_refused():
    with pytest.raises(StepInterfaceError, match="takes no 'dta'. Did you mean 'data'?"):
        run_step(train, dta=1)
    with pytest.raises(
        StepInterfaceError, match=r"Wrong type for input 'data' of step 'train' .*actual type: list"
    ):
        run_step(train, data=[1], count=1)
    with pytest.raises(StepInterfaceError, match="no input for 'count'"):
        run_step(train, data=np.ones(2))


def test_the_steps_own_error_comes_through(home):
    with pytest.raises(AssertionError, match="no score"):
        run_step(report, score=-1.0)
    assert files_below(home) == []


# A pipeline


@pytest.fixture
def stack(zenml_stack):
    return zenml_stack


def value_of(run, name):
    return run.get_step(name).output.read()


def test_a_step_is_replaced_by_values(stack):
    original = training()
    run = replacing(original, outputs={"load": {"count": 3, "data": np.ones(2)}}).run()
    assert value_of(run, "train") == 3.0
    assert value_of(replacing(original, outputs={"load": (np.ones(2), 1)}).run(), "train") == 1.0
    assert value_of(replacing(original, outputs={"train": 9.0}).run(), "train") == 9.0
    assert value_of(original.run(), "train") == 3.0  # 3 * 2 * 0.5: the original is as it was
    assert original.steps == {}


def test_a_step_is_replaced_by_a_function_or_a_step(stack):
    calls = []

    def fake(data, count, config):
        calls.append((data.tolist(), count, config.rate))
        return 4.0

    @step
    def other(data: np.ndarray, count: int, config: TrainerConfig) -> float:
        return 5.0

    assert value_of(replacing(training(), train=fake).run(), "train") == 4.0
    assert calls == [([0, 1, 2], 2, 0.5)]
    assert value_of(replacing(training(), train=other).run(), "train") == 5.0
    assert value_of(replacing(training(), train=other()).run(), "train") == 5.0


def test_what_stands_in_keeps_the_promises_of_the_step(stack):
    with pytest.raises(StepInterfaceError, match="Wrong type for output 'output' of step 'train'"):
        replacing(training(), train=lambda **_: "text").run()
    with pytest.raises(
        StepInterfaceError, match=r"stand in for the step 'train', which takes \(data, count, config\)"
    ):
        replacing(training(), train=lambda data: 1.0).run()
    with pytest.raises(StepInterfaceError, match="has the outputs data, count, but data are given"):
        replacing(training(), outputs={"load": {"data": np.ones(1)}}).run()
    with pytest.raises(
        PipelineInterfaceError, match="'training' has no step 'trian' to replace. Did you mean 'train'?"
    ):
        replacing(training(), trian=lambda: 1).run()


def test_what_stands_in_is_no_result_of_the_step(stack):
    assert value_of(replacing(training(), train=lambda **_: 4.0).run(), "train") == 4.0
    real = training().run()
    assert value_of(real, "train") == 3.0
    again = replacing(training(), train=lambda **_: 6.0).run()
    assert_cached(again, "load")
    assert_ran(again, "train", "report")
    assert value_of(again, "train") == 6.0


def test_pipelines_that_take_steps_and_parameters(stack):
    @pipeline
    def scaled(loader, factor: float):
        train(*loader(), rate=factor)

    changed = replacing(scaled(loader=load(), factor=2.0), outputs={"loader": (np.ones(2), 1)})
    assert value_of(changed.run(), "train") == 4.0


class Doubled(BaseStep):
    def entrypoint(self, score: float) -> float:
        return 2 * score


def test_a_step_that_is_a_class_is_replaced(stack):
    @pipeline
    def doubling():
        Doubled(train(*load()))

    assert value_of(replacing(doubling(), Doubled=lambda score: score + 1).run(), "Doubled") == 4.0
    assert value_of(failing(doubling(), "Doubled", attempts=[2]).run(), "Doubled") == 6.0


def test_an_attempt_fails(stack):
    with pytest.raises(ConnectionError, match="no route"):
        failing(training(), "train", ConnectionError("no route")).run()
    run = last_run()
    assert_ran(run, "load", "train")
    assert_skipped(run, "report")
    assert_ran(failing(training(), "train", attempts=[2]).run(), "train", "report")
    with pytest.raises(PipelineInterfaceError, match="has no step 'trane'"):
        failing(training(), "trane").run()


def test_an_attempt_that_fails_is_tried_again(stack):
    @step(retries=Retry(attempts=3, on=(ConnectionError,)))
    def fetch() -> int:
        return 1

    @pipeline
    def fetching():
        fetch()

    run = failing(fetching(), "fetch", ConnectionError("no route"), attempts=[1, 2]).run()
    assert run.get_step("fetch").attempts == 3
    with pytest.raises(TimeoutError):
        failing(fetching(), "fetch", TimeoutError()).run(enable_cache=False)


@pytest.fixture
def workers():
    from zenml.orchestrators import LocalOrchestrator

    with isolated_stack(orchestrator=LocalOrchestrator(name="workers", max_workers=2)) as stack:
        yield stack


def test_it_works_with_steps_in_processes_of_their_own(workers):
    assert run_step(train, data=np.ones(4), count=2, rate=2) == 16.0
    numbers = {"load": (np.ones(4), 3)}
    factor = 2.0
    run = replacing(training(), outputs=numbers, train=lambda data, count, config: factor * count).run()
    assert value_of(run, "train") == 6.0
    with pytest.raises(ConnectionError, match="no route"):
        failing(replacing(training(), outputs=numbers), "train", ConnectionError("no route")).run()
    assert_skipped(last_run(), "report")


def test_a_failing_step_has_its_own_result_when_it_does_not_fail(stack):
    failing(training(), "train", attempts=[]).run()
    assert_cached(training().run())


def test_assertions_tell_what_happened(stack):
    with pytest.raises(ConnectionError):
        failing(training(), "train", ConnectionError("no route")).run()
    with pytest.raises(AssertionError) as caught:
        assert_cached(last_run("training"), "load", "train")
    told = str(caught.value).splitlines()
    assert told[0] == f"Not taken from the cache in the run '{last_run().name}': 'load', 'train'. Its steps:"
    assert told[1:] == [
        "  load: completed, first run of this step",
        "  train: failed, ConnectionError: no route; first run of this step",
        "  report: skipped, it needs the step 'train', which has failed",
    ]
    with pytest.raises(AssertionError, match="Not executed in the run .*: 'report'"):
        assert_ran(last_run())
    with pytest.raises(AssertionError, match="Not skipped in the run .*: 'load'"):
        assert_skipped(last_run(), "load")
    with pytest.raises(DoesNotExistException, match="has no step 'lod'. Did you mean 'load'"):
        assert_ran(last_run(), "lod")


def test_the_last_run_of_nothing(stack):
    with pytest.raises(DoesNotExistException, match="There is no run on the stack 'default'"):
        last_run()
    with pytest.raises(DoesNotExistException, match="The pipeline 'training' has no run"):
        last_run("training")
