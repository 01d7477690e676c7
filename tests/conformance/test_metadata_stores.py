"""What every metadata store does, over SQLite, PostgreSQL and MariaDB."""

import json
import math
import threading
import time
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.metadata_stores import (
    OWNER,
    artifact,
    complete,
    draft,
    finish,
    hit,
    key,
    register,
    server_store,
    start,
)
from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    DoesNotExistException,
    DuplicateRunNameError,
    StaleAttemptError,
    StoreError,
)
from zenml.metadata_stores import BaseMetadataStore, SQLiteMetadataStore
from zenml.model.runs import CacheHit, CacheKey, ErrorRecord, RunRegistration, StepDraft

ERROR = ErrorRecord("builtins.ValueError", "too small", "Traceback ...")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def store(request, tmp_path) -> BaseMetadataStore:
    if request.param == "sqlite":
        return SQLiteMetadataStore(name="local", uri=str(tmp_path / "metadata.db"))
    return server_store(request.getfixturevalue(f"{request.param}_database"))


def other_process(store: BaseMetadataStore) -> BaseMetadataStore:
    """The same store over connections of its own."""
    return type(store).from_record(store.to_record()) if not store.literal_secrets() else store.updated({})


# A run


def test_a_run_from_its_start_to_its_end(store):
    before = time.time()
    run = store.register_run(
        draft(
            "first",
            steps=[
                StepDraft("load", "importer", {"path": "x.csv", "limit": 3}, "Load it."),
                StepDraft("train", "trainer", {}),
            ],
            deployment='{"version":1}',
            runtime_configuration={"tags": ["a"], "run_name": "first"},
            git_sha="a" * 40,
        )
    )
    (pending, _) = store.steps(run.run_id)
    assert (pending.status, pending.attempts, pending.started) == (ExecutionStatus.PENDING, 0, None)
    assert store.run(run.run_id).status is ExecutionStatus.RUNNING

    (loaded,) = complete(store, run.step_run_ids["load"], "key of load", artifacts=[artifact("data")])
    complete(store, run.step_run_ids["train"], inputs={"data": loaded.id}, artifacts=[])
    finish(store, run)

    record = store.run(run.run_id)
    assert (record.name, record.pipeline, record.stack) == ("first", "digits", "default")
    assert (record.status, record.error, record.owner) == (ExecutionStatus.COMPLETED, None, OWNER)
    assert record.runtime_configuration == {"tags": ["a"], "run_name": "first"}
    assert (record.zenml_version, record.git_sha) == ("0.1.0", "a" * 40)
    assert before <= record.created <= record.ended <= time.time()
    assert store.deployment(run.run_id) == '{"version":1}'
    assert store.run_by_name("first") == record

    load, train = store.steps(run.run_id)
    assert (load.name, load.entrypoint_name, load.docstring) == ("load", "importer", "Load it.")
    assert list(load.parameters.items()) == [("path", "x.csv"), ("limit", 3)]
    assert (load.status, load.attempts, load.cache_key) == (ExecutionStatus.COMPLETED, 1, "key of load")
    assert record.created <= load.started <= load.ended <= record.ended
    assert store.step(train.id) == train

    assert loaded.producer == load.id
    assert store.outputs(load.id) == {"data": loaded}
    assert store.inputs(train.id) == {"data": loaded}
    assert store.artifact(loaded.id) == loaded
    assert store.outputs(train.id) == {}


def test_inputs_and_outputs_keep_their_declared_order(store):
    run = register(store, steps=["split", "use"])
    names = ["z", "a", "m"]
    outputs = complete(store, run.step_run_ids["split"], artifacts=[artifact(name) for name in names])
    complete(store, run.step_run_ids["use"], inputs={f"in_{a.name}": a.id for a in outputs})
    assert list(store.outputs(run.step_run_ids["split"])) == names
    assert list(store.inputs(run.step_run_ids["use"])) == ["in_z", "in_a", "in_m"]


def test_one_artifact_can_be_two_inputs(store):
    run = register(store, steps=["a", "b"])
    (one,) = complete(store, run.step_run_ids["a"])
    complete(store, run.step_run_ids["b"], inputs={"left": one.id, "right": one.id})
    assert store.inputs(run.step_run_ids["b"]) == {"left": one, "right": one}


def test_a_store_without_runs_is_empty(store):
    assert store.pipelines() == []
    assert store.pipeline("digits") is None
    assert store.runs() == []
    assert store.count_runs() == 0
    assert store.run_by_name("first") is None
    assert store.recent_results("digits", "/store") == {}
    assert store.find_results(["k"], "/store") == {}
    assert store.find_results([], "/store") == {}


@pytest.mark.parametrize("method", ["run", "deployment", "step", "artifact"])
def test_an_unknown_id_is_named(store, method):
    register(store)
    with pytest.raises(DoesNotExistException, match=r"metadata store '\w+' has no .* with the id 4711"):
        getattr(store, method)(4711)


def test_starting_an_unknown_step_is_refused(store):
    with pytest.raises(DoesNotExistException, match="no step run with the id 4711"):
        start(store, 4711)
    with pytest.raises(DoesNotExistException, match="no step run with the id 4711"):
        hit(store, 4711, 4712)


def test_an_input_that_is_no_artifact_is_refused_and_nothing_is_recorded(store):
    run = register(store)
    step = run.step_run_ids["load"]
    with pytest.raises(StoreError, match="metadata store"):
        start(store, step, inputs={"data": 4711})
    assert store.step(step).status is ExecutionStatus.PENDING
    assert store.step(step).attempts == 0


# Names


def test_a_run_name_is_given_once(store):
    register(store, "monday")
    with pytest.raises(DuplicateRunNameError, match="A run named 'monday' is recorded .* another name"):
        register(store, "monday", pipeline="other")
    assert store.count_runs() == 1
    assert [p.name for p in store.pipelines()] == ["digits"]


def test_names_differ_by_case_and_accents(store):
    names = ["run", "Run", "rün", "run\u0301", "走る", "🏃"]
    for name in names:
        register(store, name, pipeline=name, steps=[name])
    assert [p.name for p in store.pipelines()] == names
    assert [r.name for r in store.runs()] == names
    for name in names:
        assert store.run_by_name(name).pipeline == name
        assert store.pipeline(name).name == name
    assert store.run_by_name("RUN") is None


def test_steps_of_one_run_may_have_names_that_differ_by_case(store):
    run = register(store, steps=["load", "Load", "LOAD"])
    assert list(run.step_run_ids) == ["load", "Load", "LOAD"]
    assert [s.name for s in store.steps(run.run_id)] == ["load", "Load", "LOAD"]


@pytest.mark.parametrize(
    "text", ["naïve 走 🏃", "a\0b", "lone \ud800", "100 %s %(x)s ? :y", "'; --", "\\N\r\n"]
)
def test_any_text_can_be_recorded(store, text):
    run = store.register_run(
        draft(
            steps=[StepDraft("load", "load", {"value": text}, docstring=text)],
            runtime_configuration={text: text},
        )
    )
    step = run.step_run_ids["load"]
    store.log_parameters(step, {"note": text})
    store.fail_attempt(start(store, step), ErrorRecord("E", text, text))
    record = store.step(step)
    assert record.parameters == {"value": text}
    assert store.run(run.run_id).runtime_configuration == {text: text}
    shown = text.replace("\0", "\ufffd").replace("\ud800", "\\ud800")
    assert record.error == ErrorRecord("E", shown, shown)
    assert record.docstring == shown
    assert store.logged_parameters(step) == {"note": shown}


# Sizes


def test_large_texts(store):
    parameters = {"text": "é" * 100_000, "numbers": list(range(30_000))}
    deployment = json.dumps({"code": "x" * (16 << 20)})
    run = store.register_run(draft(steps=[StepDraft("load", "load", parameters)], deployment=deployment))
    assert store.deployment(run.run_id) == deployment
    assert store.step(run.step_run_ids["load"]).parameters == parameters


def test_many_steps(store):
    names = [f"step {i}" for i in range(2_000)]
    run = register(store, steps=names)
    assert list(run.step_run_ids) == names
    assert [s.name for s in store.steps(run.run_id)] == names
    sources = register(store, "sources", steps=names)
    ids = list(sources.step_run_ids.values())
    (one,) = complete(store, ids[0], "k0")
    store.record_hits([CacheHit(id, key("k0"), {"x": one.id}, ids[0]) for id in run.step_run_ids.values()])
    assert {s.status for s in store.steps(run.run_id)} == {ExecutionStatus.CACHED}
    store.skip_steps(dict.fromkeys(ids[1:], "enough"))
    assert len(store.find_results([f"k{i}" for i in range(1_000)], "/store")) == 1


# Attempts


def test_a_later_attempt_takes_the_claim(store):
    run = register(store)
    step = run.step_run_ids["load"]
    first = start(store, step)
    second = start(store, step)
    assert (first.number, second.number) == (1, 2)
    assert first.token != second.token

    with pytest.raises(StaleAttemptError, match="attempt 1 of the step run .* has lost its claim"):
        store.complete_attempt(first, [artifact("late")])
    with pytest.raises(StaleAttemptError, match="has lost its claim"):
        store.fail_attempt(first, ERROR)
    assert store.outputs(step) == {}
    assert store.step(step).status is ExecutionStatus.RUNNING

    store.complete_attempt(second, [artifact("good")])
    assert list(store.outputs(step)) == ["good"]
    with pytest.raises(StaleAttemptError, match="has lost its claim"):
        store.complete_attempt(second, [artifact("twice")])
    assert list(store.outputs(step)) == ["good"]


def test_an_attempt_that_fails_may_be_followed_by_another(store):
    run = register(store)
    step = run.step_run_ids["load"]
    claim = start(store, step)
    store.fail_attempt(claim, ERROR, final=False)
    assert store.step(step).status is ExecutionStatus.PENDING
    assert store.step(step).error is None
    with pytest.raises(StaleAttemptError):
        store.complete_attempt(claim, [artifact()])
    complete(store, step)
    record = store.step(step)
    assert (record.status, record.attempts, record.error) == (ExecutionStatus.COMPLETED, 2, None)


def test_an_attempt_replaces_the_inputs_of_the_one_before(store):
    run = register(store, steps=["a", "b"])
    one, two = complete(store, run.step_run_ids["a"], artifacts=[artifact("one"), artifact("two")])
    store.fail_attempt(start(store, run.step_run_ids["b"], inputs={"x": one.id}), ERROR, final=False)
    complete(store, run.step_run_ids["b"], inputs={"y": two.id})
    assert store.inputs(run.step_run_ids["b"]) == {"y": two}


@pytest.mark.parametrize(
    "status", [ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.CRASHED]
)
def test_a_failed_step_keeps_its_error(store, status):
    run = register(store)
    step = run.step_run_ids["load"]
    store.fail_attempt(start(store, step), ERROR, status=status)
    record = store.step(step)
    assert (record.status, record.error) == (status, ERROR)
    assert record.ended is not None
    with pytest.raises(StaleAttemptError, match=f"has ended already, as {status}"):
        start(store, step)


def test_a_step_can_fail_without_an_attempt(store):
    run = register(store)
    step = run.step_run_ids["load"]
    store.fail_step(step, ERROR)
    record = store.step(step)
    assert (record.status, record.error, record.attempts) == (ExecutionStatus.FAILED, ERROR, 0)


def test_a_step_that_was_given_up_cannot_be_published_by_its_attempt(store):
    run = register(store)
    step = run.step_run_ids["load"]
    claim = start(store, step)
    store.fail_step(step, ERROR)
    with pytest.raises(StaleAttemptError):
        store.complete_attempt(claim, [artifact()])
    assert store.outputs(step) == {}


def test_a_skipped_step_has_its_reason(store):
    run = register(store, steps=["load", "train"])
    store.fail_attempt(start(store, run.step_run_ids["load"]), ERROR)
    store.skip_steps(dict.fromkeys(run.step_run_ids.values(), "it needs 'load'"))
    load, train = store.steps(run.run_id)
    assert (load.status, load.reason) == (ExecutionStatus.FAILED, None)
    assert (train.status, train.reason) == (ExecutionStatus.SKIPPED, "it needs 'load'")


def test_what_has_ended_never_changes(store):
    run = register(store, steps=["done", "other"])
    done, other = run.step_run_ids.values()
    complete(store, done)
    complete(store, other, "other")
    finish(store, run)
    before = store.run(run.run_id), store.steps(run.run_id)

    store.finish_run(run.run_id, ExecutionStatus.FAILED, ERROR)
    store.fail_step(done, ERROR)
    store.skip_steps({done: "no"})
    hit(store, done, other, "other")
    with pytest.raises(StaleAttemptError):
        start(store, done)
    assert (store.run(run.run_id), store.steps(run.run_id)) == before
    assert store.step(done).source is None


def test_a_run_ends_with_its_error(store):
    run = register(store)
    store.finish_run(run.run_id, ExecutionStatus.FAILED, ERROR)
    assert store.run(run.run_id).error == ERROR


# Caching


def test_a_result_is_found_by_its_key(store):
    run = register(store, steps=["a", "b"])
    (one,) = complete(store, run.step_run_ids["a"], "key a")
    complete(store, run.step_run_ids["b"], "key b", artifacts=[])
    found = store.find_results(["key a", "key b", "key c"], "/store")
    assert {k: (r.step_run_id, r.artifacts) for k, r in found.items()} == {
        "key a": (run.step_run_ids["a"], (one,)),
        "key b": (run.step_run_ids["b"], ()),
    }


def test_the_latest_result_is_found(store):
    first = register(store, "first")
    complete(store, first.step_run_ids["load"])
    second = register(store, "second")
    complete(store, second.step_run_ids["load"])
    assert store.find_results(["k"], "/store")["k"].step_run_id == second.step_run_ids["load"]


def test_only_what_has_completed_is_found(store):
    run = register(store, steps=["running", "failed", "skipped"])
    start(store, run.step_run_ids["running"], "1")
    store.fail_attempt(start(store, run.step_run_ids["failed"], "2"), ERROR)
    store.skip_steps({run.step_run_ids["skipped"]: "no"})
    assert store.find_results(["1", "2"], "/store") == {}


def test_a_hit_leads_to_the_step_that_really_ran(store):
    runs = [register(store, f"run {i}") for i in range(3)]
    steps = [run.step_run_ids["load"] for run in runs]
    (output,) = complete(store, steps[0])
    hit(store, steps[1], steps[0])
    hit(store, steps[2], steps[1])  # a chain of hits
    for run in runs:
        finish(store, run)
    last = store.step(steps[2])
    assert (last.status, last.source, last.cache_key) == (ExecutionStatus.CACHED, steps[0], "k")
    assert (last.attempts, last.error) == (0, None)
    assert last.started <= last.ended
    assert store.outputs(steps[2]) == {"output": output}
    assert store.find_results(["k"], "/store")["k"].step_run_id == steps[0]
    assert store.recent_results("digits", "/store")["k"].step_run_id == steps[0]


def test_a_hit_records_its_inputs(store):
    first = register(store, "first", steps=["a", "b"])
    (one,) = complete(store, first.step_run_ids["a"], "ka")
    complete(store, first.step_run_ids["b"], "kb", inputs={"x": one.id})
    second = register(store, "second", steps=["a", "b"])
    store.record_hits(
        [
            CacheHit(second.step_run_ids["a"], key("ka"), {}, first.step_run_ids["a"]),
            CacheHit(second.step_run_ids["b"], key("kb"), {"x": one.id}, first.step_run_ids["b"]),
        ]
    )
    assert store.inputs(second.step_run_ids["b"]) == {"x": one}


def test_the_parts_of_a_key_are_kept_and_a_hit_has_those_of_its_source(store):
    parts = {"code load": "1" * 64, "parameter limit": "2" * 64}
    first = register(store, "first")
    claim = store.start_attempt(
        first.step_run_ids["load"], key=CacheKey("k", parts), inputs={}, owner=OWNER, lease_until=0
    )
    store.complete_attempt(claim, [])
    second = register(store, "second")
    store.record_hits([CacheHit(second.step_run_ids["load"], CacheKey("k", parts), {}, claim.step_run_id)])
    assert store.step(claim.step_run_id).key_parts == parts
    assert store.step(second.step_run_ids["load"]).key_parts == parts


def test_a_step_that_failed_before_may_be_a_hit(store):
    first = register(store, "first")
    (one,) = complete(store, first.step_run_ids["load"])
    second = register(store, "second", steps=["a", "load"])
    step = second.step_run_ids["load"]
    store.fail_attempt(start(store, step, inputs={"old": one.id}), ERROR, final=False)
    store.record_hits([CacheHit(step, key(), {"new": one.id}, first.step_run_ids["load"])])
    assert store.step(step).status is ExecutionStatus.CACHED
    assert list(store.inputs(step)) == ["new"]


def test_results_of_another_artifact_store_are_no_hits(store):
    first = register(store, "first", steps=["load"])
    complete(
        store, first.step_run_ids["load"], artifacts=[artifact(store="/here"), artifact("b", store="/here")]
    )
    finish(store, first)
    second = register(store, "second", steps=["load"])
    complete(store, second.step_run_ids["load"], artifacts=[artifact(store="/there")])
    finish(store, second)
    for find in (
        lambda root: store.find_results(["k"], root),
        lambda root: store.recent_results("digits", root),
    ):
        assert find("/nowhere") == {}
        assert find("/Here") == {}
        assert find("/there")["k"].step_run_id == second.step_run_ids["load"]
    assert store.find_results(["k"], "/here")["k"].step_run_id == first.step_run_ids["load"]
    assert len(store.find_results(["k"], "/here")["k"].artifacts) == 2


def test_recent_results_come_from_the_last_run_that_ended(store):
    first = register(store, "first", steps=["a", "b"])
    complete(store, first.step_run_ids["a"], "a1")
    complete(store, first.step_run_ids["b"], "b1")
    finish(store, first)
    failed = register(store, "failed", steps=["a", "b"])
    complete(store, failed.step_run_ids["a"], "a2")
    store.finish_run(failed.run_id, ExecutionStatus.FAILED, ERROR)
    register(store, "going on", steps=["a", "b"])
    register(store, "another's", pipeline="other")
    assert set(store.recent_results("digits", "/store")) == {"a1", "b1", "a2"}
    assert store.recent_results("unknown", "/store") == {}


def test_a_result_can_be_forgotten(store):
    runs = [register(store, name, steps=["load"]) for name in ("first", "second", "third")]
    steps = [run.step_run_ids["load"] for run in runs]
    (older,) = complete(store, steps[0])
    (output,) = complete(store, steps[1])
    hit(store, steps[2], steps[1])
    for run in runs:
        finish(store, run)
    store.forget_result(steps[1])
    assert store.find_results(["k"], "/store")["k"].step_run_id == older.producer
    assert store.recent_results("digits", "/store") == {}
    assert store.outputs(steps[2]) == {"output": output}
    assert store.step(steps[1]).status is ExecutionStatus.COMPLETED
    store.forget_result(older.producer)
    assert store.find_results(["k"], "/store") == {}


# Numbers and parameters that a step logs


def test_metrics_keep_order_and_every_value(store):
    run = register(store)
    step = run.step_run_ids["load"]
    values = [0.1, 1e300, -0.0, math.inf, -math.inf, 5]
    for epoch, value in enumerate(values):
        store.log_metrics(step, {"loss": value, "accuracy": 1 / 3}, step=epoch)
    store.log_metrics(step, {"odd": math.nan})
    metrics = store.metrics(step)
    assert [m.value for m in metrics if m.name == "loss"] == values
    assert [m.step for m in metrics if m.name == "accuracy"] == [0, 1, 2, 3, 4, 5]
    assert metrics[1].value == 1 / 3
    assert math.isnan(metrics[-1].value)
    assert all(abs(m.recorded - time.time()) < 60 for m in metrics)
    assert store.metrics(step + 1) == []


def test_a_parameter_that_is_logged_again_is_replaced(store):
    run = register(store)
    step = run.step_run_ids["load"]
    store.log_parameters(step, {"lr": "0.1", "LR": "other"})
    store.log_parameters(step, {"lr": "0.2", "depth": "3"})
    assert store.logged_parameters(step) == {"LR": "other", "lr": "0.2", "depth": "3"}


# Lists


@pytest.fixture
def eleven(store) -> BaseMetadataStore:
    for i in range(11):
        register(store, f"run {i}", pipeline="even" if i % 2 == 0 else "odd")
    return store


def test_runs_come_by_age_in_pages(eleven):
    even = eleven.pipeline("even").id
    names = lambda **page: [run.name for run in eleven.runs(**page)]  # noqa: E731 - short
    assert names() == [f"run {i}" for i in range(11)]
    assert names(limit=2) == ["run 0", "run 1"]
    assert names(offset=9) == ["run 9", "run 10"]
    assert names(newest_first=True, limit=2) == ["run 10", "run 9"]
    assert names(newest_first=True, offset=9, limit=5) == ["run 1", "run 0"]
    assert names(pipeline_id=even, newest_first=True, limit=1) == ["run 10"]
    assert names(pipeline_id=even, offset=1, limit=2) == ["run 2", "run 4"]
    assert names(offset=11) == []
    assert names(limit=0) == []
    assert (eleven.count_runs(), eleven.count_runs(even), eleven.count_runs(4711)) == (11, 6, 0)


def test_pipelines_come_by_their_first_run(eleven):
    assert [p.name for p in eleven.pipelines()] == ["even", "odd"]


# Several at once


def test_threads_share_a_store(store):
    errors: list[Exception] = []

    def work(number: int) -> None:
        try:
            for i in range(5):
                run = register(store, f"{number}/{i}", steps=["a", "b"], pipeline=f"pipeline {i}")
                for step in run.step_run_ids.values():
                    complete(store, step, f"{number}/{i}/{step}")
                finish(store, run)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert store.count_runs() == 40
    assert len(store.pipelines()) == 5
    assert {run.status for run in store.runs()} == {ExecutionStatus.COMPLETED}


def test_one_of_many_gets_the_name(store):
    store.count_runs()
    results: list[RunRegistration | DuplicateRunNameError] = []
    barrier = threading.Barrier(6)

    def work() -> None:
        mine = other_process(store)
        barrier.wait()
        try:
            results.append(register(mine, "the one", pipeline="new"))
        except DuplicateRunNameError as error:
            results.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    assert sum(isinstance(result, RunRegistration) for result in results) == 1
    assert store.count_runs() == 1


def test_one_of_many_publishes(store):
    run = register(store)
    step = run.step_run_ids["load"]
    outcomes: list[str] = []
    barrier = threading.Barrier(6)

    def work(number: int) -> None:
        mine = other_process(store)
        barrier.wait()
        try:
            claim = start(mine, step)
            mine.complete_attempt(claim, [artifact(f"by {number}")])
            outcomes.append(f"by {number}")
        except StaleAttemptError:
            pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcomes) == 1
    assert list(store.outputs(step)) == outcomes


# Any history, against a model


class History(RuleBasedStateMachine):
    """Whatever the engine may do, in any order; what is recorded is compared with dictionaries."""

    store: BaseMetadataStore

    steps = Bundle("steps")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.world = str(uuid4())  # servers keep what earlier examples wrote
        self.status: dict[int, ExecutionStatus] = {}
        self.token: dict[int, int] = {}
        self.attempts: dict[int, int] = {}
        self.keys: dict[int, str] = {}
        self.ended: dict[int, ExecutionStatus] = {}
        self.latest: dict[str, int] = {}
        self.source: dict[int, int] = {}
        self.published: dict[int, list[str]] = {}
        self.runs = 0

    @rule(target=steps, count=st.integers(1, 3))
    def run(self, count):
        self.runs += 1
        run = register(
            self.store,
            f"{self.world} {self.runs}",
            pipeline=self.world,
            steps=[f"s{i}" for i in range(count)],
        )
        for id in run.step_run_ids.values():
            self.status[id] = ExecutionStatus.PENDING
            self.attempts[id] = 0
        return multiple(*run.step_run_ids.values())

    @rule(target=claims, step=steps, name=st.sampled_from("pqr"))
    def start(self, step, name):
        digest = f"{self.world} {name}"[-64:]
        if self.status[step].is_finished:
            with pytest.raises(StaleAttemptError):
                start(self.store, step, digest)
            return multiple()
        claim = start(self.store, step, digest)
        assert claim.token > self.token.get(step, 0)
        self.attempts[step] += 1
        assert claim.number == self.attempts[step]
        self.token[step] = claim.token
        self.keys[step] = digest
        self.status[step] = ExecutionStatus.RUNNING
        return claim

    def holds(self, claim) -> bool:
        step = claim.step_run_id
        return self.status[step] is ExecutionStatus.RUNNING and self.token[step] == claim.token

    @rule(claim=claims, names=st.lists(st.sampled_from("xyz"), unique=True, max_size=2))
    def complete(self, claim, names):
        artifacts = [artifact(name) for name in names]
        if not self.holds(claim):
            with pytest.raises(StaleAttemptError):
                self.store.complete_attempt(claim, artifacts)
            return
        self.store.complete_attempt(claim, artifacts)
        step = claim.step_run_id
        self.status[step] = ExecutionStatus.COMPLETED
        self.published[step] = names
        self.latest[self.keys[step]] = max(step, self.latest.get(self.keys[step], 0))

    @rule(claim=consumes(claims), final=st.booleans())
    def fail(self, claim, final):
        if not self.holds(claim):
            with pytest.raises(StaleAttemptError):
                self.store.fail_attempt(claim, ERROR, final=final)
            return
        self.store.fail_attempt(claim, ERROR, final=final)
        self.status[claim.step_run_id] = ExecutionStatus.FAILED if final else ExecutionStatus.PENDING

    @rule(step=steps)
    def give_up(self, step):
        self.store.fail_step(step, ERROR)
        if not self.status[step].is_finished:
            self.status[step] = ExecutionStatus.FAILED

    @rule(step=steps)
    def skip(self, step):
        self.store.skip_steps({step: "because"})
        if not self.status[step].is_finished:
            self.status[step] = ExecutionStatus.SKIPPED

    @precondition(lambda self: self.published)
    @rule(step=steps, source=st.data())
    def hit(self, step, source):
        candidates = sorted({*self.published, *self.source})
        via = source.draw(st.sampled_from(candidates))
        origin = self.source.get(via, via)
        hit(self.store, step, via, self.keys[origin])
        if not self.status[step].is_finished:
            self.status[step] = ExecutionStatus.CACHED
            self.source[step] = origin
            self.keys[step] = self.keys[origin]

    @invariant()
    def agrees(self):
        for step, status in self.status.items():
            record = self.store.step(step)
            assert (record.status, record.attempts) == (status, self.attempts[step])
            assert (record.ended is not None) == status.is_finished
            assert record.source == self.source.get(step)
            expected = self.published.get(self.source.get(step, step), [])
            assert list(self.store.outputs(step)) == expected
        found = self.store.find_results(set(self.keys.values()), "/store")
        assert {k: result.step_run_id for k, result in found.items()} == self.latest


def test_any_history(store, request):
    class OfStore(History):
        pass

    OfStore.store = store
    examples = 40 if isinstance(store, SQLiteMetadataStore) else 12
    run_state_machine_as_test(
        OfStore,
        settings=settings(
            max_examples=examples,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        ),
    )
