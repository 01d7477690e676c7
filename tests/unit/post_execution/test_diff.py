"""What two runs differ in."""

import json
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.metadata_stores import artifact, complete, draft, finish, hit, instances, start
from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import ExecutionStatus, StackComponentType
from zenml.metadata_stores import BaseMetadataStore, SQLiteMetadataStore
from zenml.model.deployment import Deployment, InputSpec, OutputSpec, RetrySpec, StackSpec, StepSpec
from zenml.model.json import canonical
from zenml.model.records import ComponentRecord
from zenml.model.runs import ErrorRecord, StepDraft
from zenml.post_execution import ABSENT, Difference, PipelineRunView, diff, run_view

LOAD = StepSpec(
    "load",
    "m.load",
    "load",
    outputs=(OutputSpec("x", "int"),),
    parameters={"path": "a"},
    code={"m.load": "1" * 64},
)
TRAIN = StepSpec(
    "train",
    "m.train",
    "train",
    inputs={"data": InputSpec("load", "x")},
    upstream=("load",),
    outputs=(OutputSpec("model", "float"),),
    parameters={"rate": 0.1},
    code={"m.train": "2" * 64, "m.clean": "3" * 64},
)
STORE = ComponentRecord(StackComponentType.ARTIFACT_STORE, "local", "local", uuid4(), {"path": "/store"})
PLAN = Deployment(
    pipeline="digits",
    run_name="",
    run_uuid=uuid4(),
    steps=(LOAD, TRAIN),
    stack=StackSpec("default", {StackComponentType.ARTIFACT_STORE: STORE}),
    environment={"python": "3.11.7", "numpy": "2.0"},
)


@pytest.fixture
def store(tmp_path) -> BaseMetadataStore:
    return SQLiteMetadataStore(name="local", uri=str(tmp_path / "metadata.db"))


def run(
    store: BaseMetadataStore, name: str, plan: Deployment = PLAN, model: str = "b", **fields
) -> PipelineRunView:
    plan = replace(plan, run_name=name, run_uuid=uuid4())
    made = store.register_run(
        draft(
            name,
            uuid=plan.run_uuid,
            steps=[StepDraft(s.name, s.entrypoint_name, s.parameters) for s in plan.steps],
            deployment=canonical(plan.to_document()),
            **fields,
        )
    )
    given = {}
    for spec in plan.steps:
        inputs = {name: given[source.step] for name, source in spec.inputs.items()}
        contents = "a" if spec.name == "load" else model
        (one,) = complete(
            store,
            made.step_run_ids[spec.name],
            uuid4().hex,
            inputs=inputs,
            artifacts=[artifact(spec.outputs[0].name, content=contents)],
        )
        given[spec.name] = one.id
    finish(store, made)
    return view(store, made.run_id)


def view(store: BaseMetadataStore, run_id: int) -> PipelineRunView:
    return run_view(store, LocalArtifactStore(name="store", path="/store"), run_id)


def found(old: PipelineRunView, new: PipelineRunView) -> list[tuple[object, ...]]:
    return [(d.step, d.kind, d.name, d.old, d.new) for d in diff(old, new).differences]


def with_train(**changes) -> Deployment:
    return replace(PLAN, steps=(LOAD, replace(TRAIN, **changes)))


def test_runs_of_the_same_do_not_differ_but_in_their_times(store):
    old, new = run(store, "old"), run(store, "new", runtime_configuration={"run_name": "new"})
    comparison = diff(old, new)
    assert not comparison
    assert (comparison.old, comparison.new, comparison.differences) == ("old", "new", ())
    assert [times.step for times in comparison.times] == ["", "load", "train"]
    assert all(times.old >= 0 and times.new >= 0 for times in comparison.times)
    assert not diff(old, old)


@pytest.mark.parametrize(
    ("plan", "expected"),
    [
        (
            with_train(parameters={"rate": 0.2, "depth": 3}),
            [("parameter", "rate", 0.1, 0.2), ("parameter", "depth", ABSENT, 3)],
        ),
        (
            with_train(code={"m.train": "2" * 64, "m.clean": "4" * 64, "m.SIZE": "5" * 64}),
            [("code", "m.clean", "3" * 64, "4" * 64), ("code", "m.SIZE", ABSENT, "5" * 64)],
        ),
        (with_train(code={"m.train": "2" * 64}), [("code", "m.clean", "3" * 64, ABSENT)]),
        (
            with_train(retry=RetrySpec(3), enable_cache=False, timeout=5.0, cache_parts={"file a.csv": "9"}),
            [
                ("setting", "enable_cache", True, False),
                (
                    "setting",
                    "retry",
                    ABSENT,
                    {
                        "attempts": 3,
                        "delay": 0.0,
                        "backoff": 2.0,
                        "max_delay": 300.0,
                        "on": ("builtins.Exception",),
                    },
                ),
                ("setting", "timeout", ABSENT, 5.0),
                ("setting", "file a.csv", ABSENT, "9"),
            ],
        ),
        (
            with_train(outputs=(OutputSpec("model", "int"),)),
            [("setting", "output model", "float", "int")],
        ),
    ],
)
def test_what_a_step_was_compiled_with(store, plan, expected):
    old, new = run(store, "old"), run(store, "new", plan)
    assert found(old, new) == [("train", *one) for one in expected]


def test_inputs_and_outputs_by_content_and_the_results_of_a_step(store):
    old, new = run(store, "old"), run(store, "new", model="c")
    store.log_metrics(old.get_step("train").id, {"loss": 0.5, "nan": float("nan")})
    store.log_metrics(new.get_step("train").id, {"loss": 0.25, "nan": float("nan"), "gain": 1.0})
    store.log_parameters(new.get_step("train").id, {"note": "x"})
    digests = [old.get_step("train").output.digest, new.get_step("train").output.digest]
    assert found(old, new) == [
        ("train", "output", "model", *digests),
        ("train", "metric", "loss", 0.5, 0.25),
        ("train", "metric", "gain", ABSENT, 1.0),
        ("train", "logged parameter", "note", ABSENT, "x"),
    ]


def test_environment_stack_and_settings_of_the_run(store):
    changed = replace(
        PLAN,
        environment={"python": "3.12.1", "torch": "2.4"},
        enable_cache=False,
        requirements=("numpy>=2",),
        stack=StackSpec(
            "remote",
            {StackComponentType.ARTIFACT_STORE: replace(STORE, name="s3", configuration={"path": "s3://x"})},
        ),
    )
    old = run(store, "old")
    new = run(
        store, "new", changed, stack="remote", git_sha="b" * 40, zenml_version="0.2.0", pipeline="digits2"
    )
    assert found(old, new) == [
        ("", "setting", "pipeline", "digits", "digits2"),
        ("", "setting", "enable_cache", True, False),
        ("", "environment", "zenml", "0.1.0", "0.2.0"),
        ("", "environment", "git", None, "b" * 40),
        ("", "environment", "requirements", [], ["numpy>=2"]),
        ("", "environment", "numpy", "2.0", ABSENT),
        ("", "environment", "python", "3.11.7", "3.12.1"),
        ("", "environment", "torch", ABSENT, "2.4"),
        ("", "stack", "name", "default", "remote"),
        ("", "stack", "artifact_store", "local (local)", "s3 (local)"),
        ("", "stack", "artifact_store.path", "/store", "s3://x"),
    ]


def test_statuses_errors_and_steps_that_only_one_has(store):
    old = run(store, "old")
    plan = replace(PLAN, steps=(LOAD, replace(TRAIN, name="fit")))
    made = store.register_run(
        draft(
            "new",
            steps=[StepDraft(s.name, s.entrypoint_name, s.parameters) for s in plan.steps],
            deployment=canonical(plan.to_document()),
        )
    )
    store.fail_attempt(start(store, made.step_run_ids["load"], "x"), ErrorRecord("ValueError", "too small"))
    store.skip_steps({made.step_run_ids["fit"]: "it needs load"})
    store.finish_run(made.run_id, ExecutionStatus.FAILED)
    digest = old.get_step("load").output.digest
    assert found(old, view(store, made.run_id)) == [
        ("", "status", "status", "completed", "failed"),
        ("load", "status", "status", "completed", "failed"),
        ("load", "error", "error", ABSENT, "ValueError: too small"),
        ("load", "output", "x", digest, ABSENT),
        ("train", "step", "train", "completed", ABSENT),
        ("fit", "step", "fit", ABSENT, "skipped"),
    ]


def test_a_cached_step_differs_in_its_status_alone(store):
    old = run(store, "old")
    plan = replace(PLAN, steps=(LOAD,))
    made = store.register_run(
        draft(
            "new", steps=[StepDraft("load", "load", {"path": "a"})], deployment=canonical(plan.to_document())
        )
    )
    hit(store, made.step_run_ids["load"], old.get_step("load").id)
    finish(store, made)
    assert ("load", "status", "status", "completed", "cached") in found(old, view(store, made.run_id))
    assert [d.step for d in diff(old, view(store, made.run_id)).differences] == ["load", "train"]


def test_instances_of_a_mapped_step_are_compared_by_their_index(store):
    plan = replace(PLAN, steps=(StepSpec("work", "m.work", "work", each={"x": [1, 2]}),))

    def mapped(name: str, count: int, content: str) -> PipelineRunView:
        made = store.register_run(
            draft(name, steps=[StepDraft("work", "work", {})], deployment=canonical(plan.to_document()))
        )
        _, ids = store.expand_step(
            start(store, made.step_run_ids["work"], name), [], instances("work", count)
        )
        for index, id in enumerate(ids):
            complete(store, id, f"{name} {index}", artifacts=[artifact(content=content if index else "a")])
        store.end_mapped(made.step_run_ids["work"], ExecutionStatus.COMPLETED)
        finish(store, made)
        return view(store, made.run_id)

    differences = diff(mapped("old", 2, "b"), mapped("new", 3, "c")).differences
    assert [(d.step, d.kind) for d in differences] == [("work[1]", "output"), ("work[2]", "step")]


def test_a_comparison_is_json_data(store):
    old, new = run(store, "old"), run(store, "new", with_train(parameters={"rate": None}))
    document = json.loads(json.dumps(diff(old, new).to_document()))
    assert (document["old"], document["new"]) == ("old", "new")
    assert document["differences"] == [
        {"step": "train", "kind": "parameter", "name": "rate", "old": 0.1, "new": None}
    ]
    assert [times["step"] for times in document["seconds"]] == ["", "load", "train"]
    assert Difference("", "stack", "x", ABSENT, 1).to_document() == {
        "step": "",
        "kind": "stack",
        "name": "x",
        "new": 1,
    }
