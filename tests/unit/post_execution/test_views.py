"""Looking at what happened."""

import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest

from tests.metadata_stores import draft, finish, hit, register, start
from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    ArtifactCorruptedError,
    ArtifactGoneError,
    DoesNotExistException,
    MaterializerInterfaceError,
)
from zenml.materializers.values import write_value
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.model.deployment import Deployment, InputSpec, OutputSpec, StackSpec, StepSpec
from zenml.model.json import canonical
from zenml.model.runs import ErrorRecord, RunRegistration, StepDraft
from zenml.post_execution import (
    PipelineRunView,
    PipelineView,
    pipeline_of,
    pipelines_of,
    run_of,
    run_view,
)

# load gives x and y; train reads both; report waits for train without reading from it.
STEPS = (
    StepSpec("load", "m.importer", "importer", outputs=(OutputSpec("x", "int"), OutputSpec("y", "int"))),
    StepSpec(
        "train",
        "m.trainer",
        "trainer",
        inputs={"labels": InputSpec("load", "y"), "data": InputSpec("load", "x")},
        upstream=("load",),
        outputs=(OutputSpec("output", "int"),),
        parameters={"rate": 0.1, "depth": 3},
        docstring="Train a model.",
    ),
    StepSpec("report", "m.reporter", "reporter", upstream=("train",)),
)


class World:
    """A metadata store and an artifact store, and what the engine does with them."""

    def __init__(self, folder: Path) -> None:
        self.metadata = SQLiteMetadataStore(name="metadata", uri=str(folder / "metadata.db"))
        self.artifacts = LocalArtifactStore(name="artifacts", path=str(folder / "artifacts"))
        self.stores = (self.metadata, self.artifacts)

    def begin(self, name: str = "monday", **fields) -> RunRegistration:
        uuid = uuid4()
        deployment = Deployment(
            pipeline="digits",
            run_name=name,
            run_uuid=uuid,
            steps=STEPS,
            stack=StackSpec("default", {}),
        )
        return self.metadata.register_run(
            draft(
                name,
                uuid=uuid,
                steps=[StepDraft(s.name, s.entrypoint_name, s.parameters, s.docstring) for s in STEPS],
                deployment=canonical(deployment.to_document()),
                **fields,
            )
        )

    def step(self, run: RunRegistration, name: str, inputs=None, **outputs) -> dict[str, int]:
        claim = start(self.metadata, run.step_run_ids[name], name, inputs)
        records = [
            write_value(output, value, f"{self.artifacts.path}/{uuid4()}/{output}", self.artifacts)
            for output, value in outputs.items()
        ]
        return {a.name: a.id for a in self.metadata.complete_attempt(claim, records)}

    def run(self, name: str = "monday", **fields) -> PipelineRunView:
        run = self.begin(name, **fields)
        loaded = self.step(run, "load", x=1, y=2)
        self.step(run, "train", {"labels": loaded["y"], "data": loaded["x"]}, output=[1, 2])
        self.step(run, "report")
        finish(self.metadata, run)
        return run_view(*self.stores, run.run_id)

    def cached(self, name: str, source: PipelineRunView) -> PipelineRunView:
        run = self.begin(name)
        for step in source.steps:
            hit(self.metadata, run.step_run_ids[step.name], step.id, step.name)
        finish(self.metadata, run)
        return run_view(*self.stores, run.run_id)


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


# The way from a pipeline to a value


def test_from_a_pipeline_to_a_value(world):
    assert pipelines_of(*world.stores) == []
    world.run()
    (pipeline,) = pipelines_of(*world.stores)
    assert pipeline.name == "digits"
    assert pipeline.runs[-1].get_step("train").output.read() == [1, 2]
    assert [a.read() for a in pipeline.runs[-1].steps[0].outputs.values()] == [1, 2]


def test_what_a_run_says(world):
    before = datetime.now(timezone.utc)
    run = world.run(runtime_configuration={"tags": ["a"]}, git_sha="b" * 40, stack="gpu")
    assert (run.name, run.pipeline_name, run.stack_name) == ("monday", "digits", "gpu")
    assert (run.status, run.error) == (ExecutionStatus.COMPLETED, None)
    assert run.runtime_configuration == {"tags": ["a"]}
    assert (run.zenml_version, run.git_sha) == ("0.1.0", "b" * 40)
    assert before <= run.start_time <= run.end_time <= datetime.now(timezone.utc)
    assert run.duration == run.end_time - run.start_time
    assert run.get_step_names() == ["load", "train", "report"]
    assert run.deployment.run_uuid == run.uuid
    assert run.pipeline == pipeline_of(*world.stores, "digits")


def test_what_a_step_says(world):
    run = world.run()
    train = run.get_step("train")
    assert (train.name, train.entrypoint_name, train.docstring) == ("train", "trainer", "Train a model.")
    assert list(train.parameters.items()) == [("rate", 0.1), ("depth", 3)]
    assert (train.status, train.is_completed, train.is_cached) == (ExecutionStatus.COMPLETED, True, False)
    assert (train.attempts, train.error, train.reason, train.cache_key) == (1, None, None, "train")
    assert run.start_time <= train.start_time <= train.end_time <= run.end_time
    assert train.duration == train.end_time - train.start_time
    assert train.start_time.utcoffset() == timedelta(0)
    assert train.run == run
    assert train.source_step == train


def test_inputs_and_outputs_are_in_the_order_of_declaration(world):
    load, train, _ = world.run().steps
    assert list(load.outputs) == ["x", "y"]
    assert list(train.inputs) == ["labels", "data"]
    assert train.inputs["labels"] == load.outputs["y"]


def test_parents_are_what_a_step_waited_for(world):
    load, train, report = world.run().steps
    assert load.parent_steps == []
    assert train.parent_steps == [load]
    assert report.parent_steps == [train]
    assert report.parents_step_ids == [train.id]


def test_what_an_artifact_says(world):
    load, train, _ = world.run().steps
    x = load.outputs["x"]
    assert (x.name, x.type, x.data_type) == ("x", "DataArtifact", "builtins.int")
    assert x.uri.startswith(world.artifacts.path)
    assert (x.parent_step_id, x.producer_step, x.is_cached) == (load.id, load, False)
    assert x.size > 0
    assert len(x.digest) == 64
    assert x.materializer.startswith("zenml.materializers.")
    assert train.inputs["data"].producer_step == load


def test_the_only_output(world):
    load, train, report = world.run().steps
    assert train.output.read() == [1, 2]
    with pytest.raises(
        ValueError, match=r"The step 'load' \(completed\) has 2 outputs \('x', 'y'\): use `\.outputs`"
    ):
        _ = load.output
    with pytest.raises(ValueError, match=r"The step 'report' \(completed\) has no output .*`\.outputs`"):
        _ = report.output
    with pytest.raises(ValueError, match=r"The step 'train' .* 2 inputs \('labels', 'data'\)"):
        _ = train.input


# Cached, failed, running


def test_a_cached_run(world):
    first = world.run("first")
    second = world.cached("second", first)
    train = second.get_step("train")
    assert (train.status, train.is_cached, train.is_completed) == (ExecutionStatus.CACHED, True, False)
    assert second.status is ExecutionStatus.COMPLETED
    assert train.attempts == 0
    assert train.output.is_cached
    assert train.output.producer_step == first.get_step("train")
    assert train.source_step == first.get_step("train")
    assert train.output.read() == [1, 2]
    assert train.parent_steps == [second.get_step("load")]
    assert not first.get_step("train").output.is_cached


def test_a_failed_run(world):
    run = world.begin()
    error = ErrorRecord("builtins.ValueError", "too small", "Traceback ...")
    world.metadata.fail_attempt(start(world.metadata, run.step_run_ids["load"]), error)
    world.metadata.skip_steps(
        {run.step_run_ids[name]: "it needs the step 'load'" for name in ("train", "report")}
    )
    world.metadata.finish_run(run.run_id, ExecutionStatus.FAILED, error)
    view = run_of(*world.stores, "monday")
    load, train, _ = view.steps
    assert (view.status, view.error) == (ExecutionStatus.FAILED, error)
    assert (load.status, load.error) == (ExecutionStatus.FAILED, error)
    assert (train.status, train.reason) == (ExecutionStatus.SKIPPED, "it needs the step 'load'")
    assert (train.start_time, train.duration) == (None, None)
    assert train.outputs == {}


def test_a_view_follows_a_run_that_goes_on(world):
    run = world.begin()
    view = run_view(*world.stores, run.run_id)
    load = view.get_step("load")
    assert (view.status, view.end_time) == (ExecutionStatus.RUNNING, None)
    assert (load.status, load.start_time) == (ExecutionStatus.PENDING, None)
    world.step(run, "load", x=1, y=2)
    assert load.status is ExecutionStatus.COMPLETED
    time.sleep(0.01)
    assert view.duration > load.duration
    finish(world.metadata, run)
    assert view.status is ExecutionStatus.COMPLETED


def test_what_a_step_logged(world):
    run = world.run()
    train = run.get_step("train")
    for epoch, loss in enumerate([0.5, 0.25]):
        world.metadata.log_metrics(train.id, {"loss": loss}, step=epoch)
    world.metadata.log_metrics(train.id, {"accuracy": 0.9})
    world.metadata.log_parameters(train.id, {"optimizer": "sgd"})
    assert train.metrics == {"loss": 0.25, "accuracy": 0.9}
    assert [(m.step, m.value) for m in train.get_metric("loss")] == [(0, 0.5), (1, 0.25)]
    assert train.logged_parameters == {"optimizer": "sgd"}
    with pytest.raises(
        DoesNotExistException, match="'train' has logged no metric 'lost'. Did you mean 'loss'?"
    ):
        train.get_metric("lost")


# Values that cannot be read


def files_of(artifact) -> list[Path]:
    return [path for path in Path(artifact.uri).rglob("*") if path.is_file()]


def test_a_value_whose_file_is_gone(world):
    artifact = world.run().get_step("train").output
    files_of(artifact)[0].unlink()
    with pytest.raises(ArtifactGoneError):
        artifact.read()


def test_a_value_whose_file_was_changed(world):
    artifact = world.run().get_step("train").output
    file = files_of(artifact)[0]
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with pytest.raises(ArtifactCorruptedError):
        artifact.read()


def test_a_value_is_read_as_a_type(world):
    artifact = world.run().get_step("load").outputs["x"]
    assert artifact.read(int) == 1
    with pytest.raises((TypeError, MaterializerInterfaceError)):
        artifact.read(dict)


# Runs of a pipeline


@pytest.fixture
def pipeline(world) -> PipelineView:
    for i in range(7):
        register(world.metadata, f"run {i}", pipeline="digits")
        register(world.metadata, f"other {i}", pipeline="other")
    return pipeline_of(*world.stores, "digits")


def test_runs_are_oldest_first(pipeline):
    assert len(pipeline.runs) == 7
    assert pipeline.get_run_names() == [f"run {i}" for i in range(7)]
    assert [run.name for run in reversed(pipeline.runs)] == [f"run {6 - i}" for i in range(7)]
    assert pipeline.runs[0].name == "run 0"
    assert pipeline.runs[-1].name == "run 6"
    assert pipeline.runs[-7].name == "run 0"
    assert pipeline.runs[3] in pipeline.runs
    assert repr(pipeline.runs) == "<7 runs>"


@pytest.mark.parametrize("index", [7, -8, 100])
def test_there_is_no_run_at_an_index(pipeline, index):
    with pytest.raises(IndexError, match=f"There is no run at {index}: the pipeline has 7"):
        _ = pipeline.runs[index]


def test_slices_are_those_of_a_list(pipeline):
    names = [f"run {i}" for i in range(7)]
    bounds = [None, *range(-9, 10)]
    for step in (None, 1, 2, -1, -3):
        for start_ in bounds:
            for stop in bounds:
                wanted = slice(start_, stop, step)
                assert [run.name for run in pipeline.runs[wanted]] == names[wanted], wanted
    with pytest.raises(ValueError, match="zero"):
        _ = pipeline.runs[::0]


def test_each_look_at_the_runs_is_one_query(pipeline, world, monkeypatch):
    queries = []
    read = world.metadata._database.read
    monkeypatch.setattr(world.metadata._database, "read", lambda work: (queries.append(work), read(work))[1])
    for look in (
        lambda: len(pipeline.runs),
        lambda: pipeline.runs[-1],
        lambda: pipeline.runs[2],
        lambda: pipeline.runs[-3:],
        lambda: pipeline.runs[-5:-2],
        lambda: pipeline.runs[:4],
        lambda: pipeline.runs[1:-1],
    ):
        queries.clear()
        look()
        assert len(queries) == 1


def test_all_of_many_runs(world):
    for i in range(450):
        register(world.metadata, f"run {i}", pipeline="digits", steps=[])
    runs = pipeline_of(*world.stores, "digits").runs
    assert [run.name for run in runs] == [f"run {i}" for i in range(450)]
    backwards = iter(reversed(runs))
    seen = [next(backwards).name]
    for i in range(3):  # begun while somebody looks
        register(world.metadata, f"late {i}", pipeline="digits", steps=[])
    seen += [run.name for run in backwards]
    assert seen == [f"run {449 - i}" for i in range(450)]


# Names


def test_unknown_names_have_the_nearest_known_one(world):
    run = world.run()
    pipeline = run.pipeline
    assert pipeline_of(*world.stores, "digit") is None
    assert run_of(*world.stores, "sunday") is None
    with pytest.raises(KeyError) as caught:
        run.get_step("trian")
    assert str(caught.value) == "The run 'monday' has no step 'trian'. Did you mean 'train'?"
    with pytest.raises(
        DoesNotExistException, match="The pipeline 'digits' has no run 'mondey'. Did you mean 'monday'?"
    ):
        pipeline.get_run("mondey")
    assert pipeline.get_run("monday") == run
    with pytest.raises(DoesNotExistException, match="no run with the id 4711"):
        run_view(*world.stores, 4711)


def test_a_run_of_another_pipeline_is_unknown_here(world):
    run = world.run()
    register(world.metadata, "theirs", pipeline="other")
    with pytest.raises(DoesNotExistException, match="'digits' has no run 'theirs'"):
        run.pipeline.get_run("theirs")


def test_the_newest_run_in_which_a_step_really_ran(world):
    first = world.run("first")
    second = world.run("second")
    world.cached("third", first)
    pipeline = second.pipeline
    assert pipeline.get_run_for_completed_step("train") == second
    with pytest.raises(LookupError, match="has no step 'trian'. Did you mean 'train'"):
        pipeline.get_run_for_completed_step("trian")
    register(world.metadata, "fourth", steps=["new"])
    with pytest.raises(LookupError, match="The step 'new' has completed in no run of 'digits'"):
        pipeline.get_run_for_completed_step("new")


# Views as values


def test_views_are_equal_by_what_they_show(world, tmp_path):
    run = world.run()
    again = run_view(*world.stores, run.id)
    assert again == run
    assert hash(again) == hash(run)
    assert again.steps == run.steps
    assert again.steps[0] != run.steps[1]
    assert again.steps[0].outputs == run.steps[0].outputs
    assert run != run.steps[0]
    assert run != "monday"
    elsewhere = World(tmp_path / "elsewhere")
    assert elsewhere.run() != run


def test_views_have_a_short_repr(world):
    run = world.run()
    assert repr(run) == f"PipelineRunView(id={run.id}, name='monday', status='completed')"
    assert repr(run.pipeline) == f"PipelineView(id={run.pipeline.id}, name='digits')"
    train = run.get_step("train")
    assert repr(train) == f"StepView(id={train.id}, name='train', status='completed')"
    assert repr(train.output).startswith(
        f"ArtifactView(id={train.output.id}, name='output', type='DataArtifact', uri="
    )
