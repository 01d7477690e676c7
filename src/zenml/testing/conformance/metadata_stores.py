"""What every metadata store does."""

from __future__ import annotations

import json
import math
import threading
import time
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis.stateful import run_state_machine_as_test

from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    DoesNotExistException,
    DuplicateRunNameError,
    StaleAttemptError,
    StoreError,
)
from zenml.liveness import this_process
from zenml.model.runs import (
    CacheHit,
    CacheKey,
    Claim,
    ErrorRecord,
    InFlight,
    Origin,
    RunRegistration,
    StepDraft,
)
from zenml.testing.conformance.metadata_history import History
from zenml.testing.conformance.metadata_housekeeping import HousekeepingConformance, Reopen
from zenml.testing.conformance.recording import (
    DEAD,
    ERROR,
    OWNER,
    artifact,
    complete,
    draft,
    finish,
    hit,
    instances,
    key,
    register,
    share,
    start,
)
from zenml.testing.conformance.suite import assert_healthy, thorough

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore


class MetadataStoreConformance(HousekeepingConformance):
    """The duties of `BaseMetadataStore`.

    `store` is one that nothing is recorded in; `reopen` is a function that gives the same store over connections of its own, as another
    process has it.
    """

    examples: ClassVar[int] = 40
    """How many histories are tried; fewer, where each takes seconds."""

    # A run

    def test_a_check_passes_and_leaves_nothing(self, store: BaseMetadataStore) -> None:
        assert_healthy(store)  # also before its first use
        run = register(store)
        assert_healthy(store)
        assert [found.id for found in store.runs()] == [run.run_id]
        assert [pipeline.name for pipeline in store.pipelines()] == [store.run(run.run_id).pipeline]

    def test_a_run_from_its_start_to_its_end(self, store: BaseMetadataStore) -> None:
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

    def test_inputs_and_outputs_keep_their_declared_order(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["split", "use"])
        names = ["z", "a", "m"]
        outputs = complete(store, run.step_run_ids["split"], artifacts=[artifact(name) for name in names])
        complete(store, run.step_run_ids["use"], inputs={f"in_{a.name}": a.id for a in outputs})
        assert list(store.outputs(run.step_run_ids["split"])) == names
        assert list(store.inputs(run.step_run_ids["use"])) == ["in_z", "in_a", "in_m"]

    def test_one_artifact_can_be_two_inputs(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["a", "b"])
        (one,) = complete(store, run.step_run_ids["a"])
        complete(store, run.step_run_ids["b"], inputs={"left": one.id, "right": one.id})
        assert store.inputs(run.step_run_ids["b"]) == {"left": one, "right": one}

    def test_a_store_without_runs_is_empty(self, store: BaseMetadataStore) -> None:
        assert store.pipelines() == []
        assert store.pipeline("digits") is None
        assert store.runs() == []
        assert store.count_runs() == 0
        assert store.run_by_name("first") is None
        assert store.recent_results("digits", "/store") == {}
        assert store.find_results(["k"], "/store") == {}
        assert store.find_results([], "/store") == {}

    @pytest.mark.parametrize("method", ["run", "deployment", "step", "artifact"])
    def test_an_unknown_id_is_named(self, store: BaseMetadataStore, method: str) -> None:
        register(store)
        with pytest.raises(DoesNotExistException, match=r"metadata store '\w+' has no .* with the id 4711"):
            getattr(store, method)(4711)

    def test_starting_an_unknown_step_is_refused(self, store: BaseMetadataStore) -> None:
        with pytest.raises(DoesNotExistException, match="no step run with the id 4711"):
            start(store, 4711)
        with pytest.raises(DoesNotExistException, match="no step run with the id 4711"):
            hit(store, 4711, 4712)

    def test_an_input_that_is_no_artifact_is_refused_and_nothing_is_recorded(
        self, store: BaseMetadataStore
    ) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        with pytest.raises(StoreError, match="metadata store"):
            start(store, step, inputs={"data": 4711})
        assert store.step(step).status is ExecutionStatus.PENDING
        assert store.step(step).attempts == 0

    # Names

    def test_a_run_name_is_given_once(self, store: BaseMetadataStore) -> None:
        register(store, "monday")
        with pytest.raises(DuplicateRunNameError, match="A run named 'monday' is recorded .* another name"):
            register(store, "monday", pipeline="other")
        assert store.count_runs() == 1
        assert [p.name for p in store.pipelines()] == ["digits"]

    def test_names_differ_by_case_and_accents(self, store: BaseMetadataStore) -> None:
        names = ["run", "Run", "rün", "run\u0301", "走る", "🏃"]
        for name in names:
            register(store, name, pipeline=name, steps=[name])
        assert [p.name for p in store.pipelines()] == names
        assert [r.name for r in store.runs()] == names
        for name in names:
            assert store.run_by_name(name).pipeline == name
            assert store.pipeline(name).name == name
        assert store.run_by_name("RUN") is None

    def test_steps_of_one_run_may_have_names_that_differ_by_case(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["load", "Load", "LOAD"])
        assert list(run.step_run_ids) == ["load", "Load", "LOAD"]
        assert [s.name for s in store.steps(run.run_id)] == ["load", "Load", "LOAD"]

    @pytest.mark.parametrize(
        "text", ["naïve 走 🏃", "a\0b", "lone \ud800", "100 %s %(x)s ? :y", "'; --", "\\N\r\n"]
    )
    def test_any_text_can_be_recorded(self, store: BaseMetadataStore, text: str) -> None:
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

    def test_large_texts(self, store: BaseMetadataStore) -> None:
        parameters = {"text": "é" * 100_000, "numbers": list(range(30_000))}
        deployment = json.dumps({"code": "x" * (16 << 20)})
        run = store.register_run(draft(steps=[StepDraft("load", "load", parameters)], deployment=deployment))
        assert store.deployment(run.run_id) == deployment
        assert store.step(run.step_run_ids["load"]).parameters == parameters

    def test_many_steps(self, store: BaseMetadataStore) -> None:
        names = [f"step {i}" for i in range(2_000)]
        run = register(store, steps=names)
        assert list(run.step_run_ids) == names
        assert [s.name for s in store.steps(run.run_id)] == names
        sources = register(store, "sources", steps=names)
        ids = list(sources.step_run_ids.values())
        (one,) = complete(store, ids[0], "k0")
        store.record_hits(
            [CacheHit(id, key("k0"), {"x": one.id}, ids[0]) for id in run.step_run_ids.values()]
        )
        assert {s.status for s in store.steps(run.run_id)} == {ExecutionStatus.CACHED}
        store.skip_steps(dict.fromkeys(ids[1:], "enough"))
        assert len(store.find_results([f"k{i}" for i in range(1_000)], "/store")) == 1

    # Attempts

    def test_a_later_attempt_takes_the_claim(self, store: BaseMetadataStore) -> None:
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

    def test_an_attempt_that_fails_may_be_followed_by_another(self, store: BaseMetadataStore) -> None:
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

    def test_an_attempt_replaces_the_inputs_of_the_one_before(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["a", "b"])
        one, two = complete(store, run.step_run_ids["a"], artifacts=[artifact("one"), artifact("two")])
        store.fail_attempt(start(store, run.step_run_ids["b"], inputs={"x": one.id}), ERROR, final=False)
        complete(store, run.step_run_ids["b"], inputs={"y": two.id})
        assert store.inputs(run.step_run_ids["b"]) == {"y": two}

    @pytest.mark.parametrize(
        "status", [ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.CRASHED]
    )
    def test_a_failed_step_keeps_its_error(self, store: BaseMetadataStore, status: ExecutionStatus) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        store.fail_attempt(start(store, step), ERROR, status=status)
        record = store.step(step)
        assert (record.status, record.error) == (status, ERROR)
        assert record.ended is not None
        with pytest.raises(StaleAttemptError, match=f"has ended already, as {status}"):
            start(store, step)

    def test_a_step_can_fail_without_an_attempt(self, store: BaseMetadataStore) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        store.fail_step(step, ERROR)
        record = store.step(step)
        assert (record.status, record.error, record.attempts) == (ExecutionStatus.FAILED, ERROR, 0)

    def test_a_step_that_was_given_up_cannot_be_published_by_its_attempt(
        self, store: BaseMetadataStore
    ) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        claim = start(store, step)
        store.fail_step(step, ERROR)
        with pytest.raises(StaleAttemptError):
            store.complete_attempt(claim, [artifact()])
        assert store.outputs(step) == {}

    def test_a_skipped_step_has_its_reason(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["load", "train"])
        store.fail_attempt(start(store, run.step_run_ids["load"]), ERROR)
        store.skip_steps(dict.fromkeys(run.step_run_ids.values(), "it needs 'load'"))
        load, train = store.steps(run.run_id)
        assert (load.status, load.reason) == (ExecutionStatus.FAILED, None)
        assert (train.status, train.reason) == (ExecutionStatus.SKIPPED, "it needs 'load'")

    def test_what_has_ended_never_changes(self, store: BaseMetadataStore) -> None:
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

    def test_a_run_ends_with_its_error(self, store: BaseMetadataStore) -> None:
        run = register(store)
        store.finish_run(run.run_id, ExecutionStatus.FAILED, ERROR)
        assert store.run(run.run_id).error == ERROR

    def test_a_run_that_has_ended_leaves_nothing_open(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["done", "running", "pending"])
        done, running, pending = run.step_run_ids.values()
        complete(store, done)
        claim = start(store, running, "r")
        store.finish_run(run.run_id, ExecutionStatus.CANCELLED, ERROR)
        assert [(s.status, s.reason) for s in store.steps(run.run_id)] == [
            (ExecutionStatus.COMPLETED, None),
            (ExecutionStatus.CRASHED, None),
            (ExecutionStatus.SKIPPED, "the run has ended"),
        ]
        assert [a.status for a in store.attempts(running)] == [ExecutionStatus.CRASHED]
        with pytest.raises(StaleAttemptError):
            store.complete_attempt(claim, [artifact()])
        with pytest.raises(StaleAttemptError):
            start(store, pending)

    def test_a_run_knows_the_one_that_it_goes_on_from(self, store: BaseMetadataStore) -> None:
        first = register(store, "first")
        second = register(store, "second", origin=Origin("resume", first.run_id))
        assert store.run(first.run_id).origin is None
        assert store.run(second.run_id).origin == Origin("resume", first.run_id)
        assert [r.origin for r in store.runs()] == [None, Origin("resume", first.run_id)]

    # Attempts in a list

    def test_attempts_are_kept_with_their_errors(self, store: BaseMetadataStore) -> None:
        before = time.time()
        run = register(store)
        step = run.step_run_ids["load"]
        store.fail_attempt(start(store, step), ERROR, final=False)
        start(store, step)
        store.fail_step(
            step, ErrorRecord("StepTimeoutError", "too late"), status=ExecutionStatus.FAILED, final=False
        )
        assert store.step(step).status is ExecutionStatus.PENDING
        assert store.step(step).error is None
        complete(store, step)
        first, second, third = store.attempts(step)
        assert [a.number for a in (first, second, third)] == [1, 2, 3]
        assert (first.status, first.error, first.owner) == (ExecutionStatus.FAILED, ERROR, OWNER)
        assert (second.status, second.error) == (
            ExecutionStatus.FAILED,
            ErrorRecord("StepTimeoutError", "too late"),
        )
        assert (third.status, third.error) == (ExecutionStatus.COMPLETED, None)
        assert before <= first.started <= first.ended <= second.started <= third.ended <= time.time()
        assert {a.step_run_id for a in (first, second, third)} == {step}
        assert store.attempts(4711) == []

    def test_a_step_left_for_its_next_attempt_is_not_published_by_the_one_before(
        self, store: BaseMetadataStore
    ) -> None:
        step = register(store).step_run_ids["load"]
        claim = start(store, step)
        store.fail_step(step, ERROR, final=False)
        with pytest.raises(StaleAttemptError):
            store.complete_attempt(claim, [artifact()])
        assert complete(store, step)

    @pytest.mark.parametrize(
        "status", [ExecutionStatus.FAILED, ExecutionStatus.CANCELLED, ExecutionStatus.CRASHED]
    )
    def test_a_step_is_ended_with_the_attempt_that_is_under_way(
        self, store: BaseMetadataStore, status: ExecutionStatus
    ) -> None:
        step = register(store).step_run_ids["load"]
        start(store, step)
        store.fail_step(step, ERROR, status=status)
        (attempt,) = store.attempts(step)
        assert (attempt.status, attempt.error) == (status, ERROR)
        assert (store.step(step).status, store.step(step).error) == (status, ERROR)

    def test_an_attempt_that_another_replaced_has_crashed(self, store: BaseMetadataStore) -> None:
        step = register(store).step_run_ids["load"]
        start(store, step)
        start(store, step)
        assert [a.status for a in store.attempts(step)] == [ExecutionStatus.CRASHED, ExecutionStatus.RUNNING]

    def test_the_reason_of_a_miss_is_kept(self, store: BaseMetadataStore) -> None:
        first = register(store, "first", steps=["a", "b"])
        a, b = first.step_run_ids.values()
        for step in (a, b):
            store.start_attempt(
                step,
                key=key(),
                inputs={},
                owner=OWNER,
                lease_until=time.time() + 60,
                reason="artifact is gone",
            )
        assert store.step(a).reason == "artifact is gone"
        store.fail_step(a, ERROR, final=False)
        source = register(store, "source")
        complete(store, source.step_run_ids["load"])
        hit(store, a, source.step_run_ids["load"])
        assert store.step(a).reason is None
        store.fail_step(b, ERROR)
        assert store.step(b).reason == "artifact is gone"

    # Mapped steps

    def test_a_mapped_step_from_its_start_to_its_end(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["settings", "train", "best"])
        settings_, train, best = run.step_run_ids.values()
        complete(store, settings_, "s")
        items, ids = store.expand_step(
            start(store, train, "group"),
            [artifact(f"lr[{i}]") for i in range(3)],
            [StepDraft("train", "trainer", {"depth": i}, "Train.", map_index=i) for i in range(3)],
        )
        assert [item.name for item in items] == ["lr[0]", "lr[1]", "lr[2]"]
        assert {item.producer for item in items} == {train}
        assert [store.artifact(item.id) for item in items] == list(items)
        assert store.outputs(train) == {item.name: item for item in items}

        # One row of the run, whatever its width.
        assert [s.name for s in store.steps(run.run_id)] == ["settings", "train", "best"]
        assert (store.step(train).status, store.step(train).map_index) == (ExecutionStatus.RUNNING, -1)
        assert [a.status for a in store.attempts(train)] == [ExecutionStatus.COMPLETED]
        found = store.instances(run.run_id, "train")
        assert [i.id for i in found] == ids
        assert [(i.name, i.map_index, i.status) for i in found] == [
            ("train", index, ExecutionStatus.PENDING) for index in range(3)
        ]
        assert [(i.entrypoint_name, i.parameters, i.docstring) for i in found] == [
            ("trainer", {"depth": index}, "Train.") for index in range(3)
        ]
        assert store.instances(run.run_id, "settings") == []

        scores = [
            complete(store, id, f"i{n}", inputs={"lr": items[n].id}, artifacts=[artifact("score")])[0]
            for n, id in enumerate(ids)
        ]
        store.end_mapped(train, ExecutionStatus.COMPLETED)
        assert store.step(train).status is ExecutionStatus.COMPLETED
        assert store.step(train).ended is not None
        complete(store, best, "b", inputs={f"scores[{n}]": score.id for n, score in enumerate(scores)})
        assert list(store.inputs(best)) == ["scores[0]", "scores[1]", "scores[2]"]
        assert store.inputs(ids[1]) == {"lr": items[1]}
        finish(store, run)
        assert {i.status for i in store.instances(run.run_id, "train")} == {ExecutionStatus.COMPLETED}

    def test_a_step_is_spread_once(self, store: BaseMetadataStore) -> None:
        step = register(store).step_run_ids["load"]
        claim = start(store, step)
        store.expand_step(claim, [artifact("x[0]")], instances("load", 1))
        with pytest.raises(StaleAttemptError):
            store.expand_step(claim, [artifact("x[0]")], instances("load", 1))
        with pytest.raises(StaleAttemptError):
            store.complete_attempt(claim, [])
        with pytest.raises(StaleAttemptError, match="instances are under way"):
            start(store, step)
        assert store.step(step).status is ExecutionStatus.RUNNING
        assert store.step(step).attempts == 1

    def test_a_stale_attempt_spreads_nothing(self, store: BaseMetadataStore) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        claim = start(store, step)
        start(store, step)
        with pytest.raises(StaleAttemptError):
            store.expand_step(claim, [artifact("x[0]")], instances("load", 1))
        assert store.instances(run.run_id, "load") == []
        assert store.outputs(step) == {}

    def test_a_step_may_be_spread_over_nothing(self, store: BaseMetadataStore) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        assert store.expand_step(start(store, step), [], []) == ((), [])
        store.end_mapped(step, ExecutionStatus.COMPLETED)
        assert store.instances(run.run_id, "load") == []
        assert store.step(step).status is ExecutionStatus.COMPLETED

    def test_a_mapped_step_ends_once(self, store: BaseMetadataStore) -> None:
        step = register(store).step_run_ids["load"]
        store.expand_step(start(store, step), [], [])
        store.end_mapped(step, ExecutionStatus.FAILED, ERROR)
        store.end_mapped(step, ExecutionStatus.COMPLETED)
        assert (store.step(step).status, store.step(step).error) == (ExecutionStatus.FAILED, ERROR)

    def test_items_are_found_again_and_taken_by_a_later_run(self, store: BaseMetadataStore) -> None:
        first = register(store, "first", steps=["train"])
        group = first.step_run_ids["train"]
        items, ids = store.expand_step(
            start(store, group, "group"), [artifact("x[0]"), artifact("x[1]")], instances("train", 2)
        )
        (score,) = complete(store, ids[0], "i0")
        store.fail_attempt(start(store, ids[1], "i1"), ERROR)
        store.end_mapped(group, ExecutionStatus.FAILED, ERROR)
        store.finish_run(first.run_id, ExecutionStatus.FAILED, ERROR)
        for found in (
            store.find_results(["group", "i0", "i1"], "/store"),
            store.recent_results("digits", "/store"),
            store.results_of_run(first.run_id, "/store"),
        ):
            assert {k: (r.step_run_id, r.artifacts) for k, r in found.items()} == {
                "group": (group, items),
                "i0": (ids[0], (score,)),
            }

        second = register(store, "second", steps=["train"])
        again = second.step_run_ids["train"]
        taken = store.expand_cached(
            CacheHit(again, key("group"), {"x": score.id}, group), instances("train", 2)
        )
        assert [i.id for i in store.instances(second.run_id, "train")] == taken
        assert store.outputs(again) == {item.name: item for item in items}
        assert (store.step(again).status, store.step(again).source) == (ExecutionStatus.RUNNING, group)
        assert store.inputs(again) == {"x": score}
        hit(store, taken[0], ids[0], "i0")
        complete(store, taken[1], "i1")
        store.end_mapped(again, ExecutionStatus.COMPLETED)
        assert (store.step(again).status, store.step(again).attempts) == (ExecutionStatus.COMPLETED, 0)

        third = register(store, "third", steps=["train"])
        last = third.step_run_ids["train"]
        store.expand_cached(CacheHit(last, key("group"), {}, again), instances("train", 2))
        assert store.step(last).source == group  # a chain leads to the one that really ran
        with pytest.raises(StaleAttemptError):
            store.expand_cached(CacheHit(last, key("group"), {}, group), instances("train", 2))

    def test_a_wide_step(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["train", "after"])
        count = 1_200
        items, ids = store.expand_step(
            start(store, run.step_run_ids["train"], "group"),
            [artifact(f"x[{i}]") for i in range(count)],
            instances("train", count),
        )
        assert [item.name for item in items] == [f"x[{i}]" for i in range(count)]
        assert [i.id for i in store.instances(run.run_id, "train")] == ids
        assert len(store.steps(run.run_id)) == 2
        store.record_hits(
            [CacheHit(id, key(f"i{n}"), {"x": items[n].id}, ids[0]) for n, id in enumerate(ids[1:])]
        )

    # The truth after a crash

    def test_a_dead_run_is_settled_by_whoever_reads_it(self, store: BaseMetadataStore) -> None:
        readers = {
            "run": lambda run: store.run(run.run_id).status,
            "runs": lambda _: store.runs(limit=1, newest_first=True)[0].status,
            "run_by_name": lambda _: store.run_by_name(store.runs()[-1].name).status,
            "steps": lambda run: store.steps(run.run_id)[1].status,
            "step": lambda run: store.step(run.step_run_ids["b"]).status,
            "attempts": lambda run: store.attempts(run.step_run_ids["b"])[0].status,
        }
        for name, read in readers.items():
            run = register(store, name, steps=["a", "b", "c"], owner=DEAD)
            complete(store, run.step_run_ids["a"], "a")
            claim = start(store, run.step_run_ids["b"], "b")
            assert read(run) is ExecutionStatus.CRASHED, name

            record = store.run(run.run_id)
            assert (record.status, record.error) == (ExecutionStatus.CRASHED, None)
            assert record.ended >= record.created
            assert [(s.status, s.reason) for s in store.steps(run.run_id)] == [
                (ExecutionStatus.COMPLETED, None),
                (ExecutionStatus.CRASHED, None),
                (ExecutionStatus.SKIPPED, "the run crashed"),
            ]
            assert [a.status for a in store.attempts(claim.step_run_id)] == [ExecutionStatus.CRASHED]
            for late in (
                lambda: store.complete_attempt(claim, [artifact()]),  # noqa: B023 - called at once
                lambda: store.fail_attempt(claim, ERROR),  # noqa: B023
                lambda: start(store, run.step_run_ids["c"]),  # noqa: B023
            ):
                with pytest.raises(StaleAttemptError):
                    late()
            store.finish_run(run.run_id, ExecutionStatus.COMPLETED)
            assert store.run(run.run_id).status is ExecutionStatus.CRASHED

    def test_instances_of_a_dead_run_are_settled(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["train"], owner=DEAD)
        group = run.step_run_ids["train"]
        _, ids = store.expand_step(start(store, group), [], instances("train", 3))
        complete(store, ids[0], "0")
        start(store, ids[1], "1")
        assert [i.status for i in store.instances(run.run_id, "train")] == [
            ExecutionStatus.COMPLETED,
            ExecutionStatus.CRASHED,
            ExecutionStatus.SKIPPED,
        ]
        assert store.step(group).status is ExecutionStatus.CRASHED

    def test_the_results_of_a_dead_run_are_a_head_start(self, store: BaseMetadataStore) -> None:
        run = register(store, owner=DEAD)
        complete(store, run.step_run_ids["load"])
        assert set(store.recent_results("digits", "/store")) == {"k"}

    def test_a_process_elsewhere_lives_as_long_as_its_lease(self, store: BaseMetadataStore) -> None:
        silent = register(store, "silent", lease_until=time.time() - 1)
        heard = register(store, "heard", lease_until=time.time() - 1)
        store.renew_lease(heard.run_id, time.time() + 60)
        assert store.run(heard.run_id).status is ExecutionStatus.RUNNING
        assert store.run(silent.run_id).status is ExecutionStatus.CRASHED
        store.renew_lease(silent.run_id, time.time() + 60)
        assert store.run(silent.run_id).status is ExecutionStatus.CRASHED

    def test_a_process_of_this_machine_lives_whatever_its_lease_says(self, store: BaseMetadataStore) -> None:
        run = register(store, owner=this_process(), lease_until=time.time() - 1_000)
        start(store, run.step_run_ids["load"])
        assert store.run(run.run_id).status is ExecutionStatus.RUNNING
        assert store.steps(run.run_id)[0].status is ExecutionStatus.RUNNING

    def test_the_attempt_of_a_dead_worker_is_left_to_the_run(self, store: BaseMetadataStore) -> None:
        run = register(store, owner=this_process())
        step = run.step_run_ids["load"]
        store.start_attempt(step, key=key(), inputs={}, owner=DEAD, lease_until=0)
        assert store.step(step).status is ExecutionStatus.RUNNING
        assert store.attempts(step)[0].status is ExecutionStatus.RUNNING

    def test_several_readers_settle_once(self, store: BaseMetadataStore, reopen: Reopen) -> None:
        run = register(store, owner=DEAD, steps=[f"s{i}" for i in range(50)])
        barrier = threading.Barrier(6)
        found: list[object] = []

        def work() -> None:
            mine = reopen()
            barrier.wait()
            try:
                record = mine.run(run.run_id)
                found.append((record.status, record.ended))
            except Exception as error:  # noqa: BLE001 - shown by the assertion
                found.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [(ExecutionStatus.CRASHED, store.run(run.run_id).ended)] * 6

    # Cancelling

    def test_the_end_of_a_run_can_be_asked_for(self, store: BaseMetadataStore) -> None:
        run, other = register(store, "one"), register(store, "other")
        assert not store.is_cancel_requested(run.run_id)
        before = time.time()
        store.request_cancel(run.run_id)
        first = store.run(run.run_id).cancel_requested
        assert before <= first <= time.time()
        assert store.is_cancel_requested(run.run_id)
        assert not store.is_cancel_requested(other.run_id)
        store.request_cancel(run.run_id)
        assert store.run(run.run_id).cancel_requested == first
        assert store.run(run.run_id).status is ExecutionStatus.RUNNING
        with pytest.raises(DoesNotExistException, match="no run with the id 4711"):
            store.request_cancel(4711)

    def test_there_is_nothing_to_cancel_in_a_run_that_has_ended_or_is_dead(
        self, store: BaseMetadataStore
    ) -> None:
        ended, dead = register(store, "ended"), register(store, "dead", owner=DEAD)
        finish(store, ended)
        store.request_cancel(ended.run_id)
        store.request_cancel(dead.run_id)
        assert store.run(ended.run_id).status is ExecutionStatus.COMPLETED
        assert store.run(dead.run_id).status is ExecutionStatus.CRASHED
        assert [r.cancel_requested for r in store.runs()] == [None, None]

    # The same computation in two runs

    def test_an_attempt_gives_way_to_a_run_that_computes_the_same(self, store: BaseMetadataStore) -> None:
        one, two = register(store, "one"), register(store, "two", pipeline="other")
        first, second = one.step_run_ids["load"], two.step_run_ids["load"]
        claim = share(store, first)
        assert isinstance(claim, Claim)
        assert share(store, second) == InFlight(first)
        assert (store.step(second).status, store.step(second).attempts) == (ExecutionStatus.PENDING, 0)
        assert store.attempts(second) == []
        assert isinstance(share(store, second, "another key"), Claim)

        three = register(store, "three")
        store.complete_attempt(claim, [artifact()])
        assert isinstance(share(store, three.step_run_ids["load"]), Claim)  # nobody computes it any more

    def test_an_attempt_that_does_not_share_gives_way_to_nobody(self, store: BaseMetadataStore) -> None:
        one, two = register(store, "one"), register(store, "two")
        start(store, one.step_run_ids["load"])
        assert start(store, two.step_run_ids["load"]).number == 1

    def test_an_attempt_does_not_wait_for_its_own_step_or_run(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["a", "b"])
        a, b = run.step_run_ids.values()
        assert isinstance(share(store, a), Claim)
        assert isinstance(share(store, b), Claim)
        assert share(store, a).number == 2

    def test_the_dead_are_not_waited_for(self, store: BaseMetadataStore) -> None:
        dead = register(store, "dead", owner=DEAD)
        silent = register(store, "silent", lease_until=time.time() - 1)
        for run in (dead, silent):
            start(store, run.step_run_ids["load"])
        assert isinstance(share(store, register(store, "two").step_run_ids["load"]), Claim)

    def test_nobody_waits_for_instances_when_the_items_are_there(self, store: BaseMetadataStore) -> None:
        one, two = register(store, "one"), register(store, "two")
        store.expand_step(start(store, one.step_run_ids["load"]), [], instances("load", 2))
        assert isinstance(share(store, two.step_run_ids["load"]), Claim)

    def test_one_of_many_computes(self, store: BaseMetadataStore, reopen: Reopen) -> None:
        runs = [register(store, f"run {i}") for i in range(8)]
        outcomes: list[object] = []
        barrier = threading.Barrier(8)

        def work(run: RunRegistration) -> None:
            mine = reopen()
            mine.count_runs()
            barrier.wait()
            try:
                outcomes.append(share(mine, run.step_run_ids["load"]))
            except Exception as error:  # noqa: BLE001 - shown by the assertion
                outcomes.append(error)

        threads = [threading.Thread(target=work, args=(run,)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (claim,) = [outcome for outcome in outcomes if isinstance(outcome, Claim)]
        assert [o for o in outcomes if o is not claim] == [InFlight(claim.step_run_id)] * 7

    # Caching

    def test_a_result_is_found_by_its_key(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["a", "b"])
        (one,) = complete(store, run.step_run_ids["a"], "key a")
        complete(store, run.step_run_ids["b"], "key b", artifacts=[])
        found = store.find_results(["key a", "key b", "key c"], "/store")
        assert {k: (r.step_run_id, r.artifacts) for k, r in found.items()} == {
            "key a": (run.step_run_ids["a"], (one,)),
            "key b": (run.step_run_ids["b"], ()),
        }

    def test_the_latest_result_is_found(self, store: BaseMetadataStore) -> None:
        first = register(store, "first")
        complete(store, first.step_run_ids["load"])
        second = register(store, "second")
        complete(store, second.step_run_ids["load"])
        assert store.find_results(["k"], "/store")["k"].step_run_id == second.step_run_ids["load"]

    def test_only_what_has_completed_is_found(self, store: BaseMetadataStore) -> None:
        run = register(store, steps=["running", "failed", "skipped"])
        start(store, run.step_run_ids["running"], "1")
        store.fail_attempt(start(store, run.step_run_ids["failed"], "2"), ERROR)
        store.skip_steps({run.step_run_ids["skipped"]: "no"})
        assert store.find_results(["1", "2"], "/store") == {}

    def test_a_hit_leads_to_the_step_that_really_ran(self, store: BaseMetadataStore) -> None:
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

    def test_a_hit_records_its_inputs(self, store: BaseMetadataStore) -> None:
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

    def test_the_parts_of_a_key_are_kept_and_a_hit_has_those_of_its_source(
        self, store: BaseMetadataStore
    ) -> None:
        parts = {"code load": "1" * 64, "parameter limit": "2" * 64}
        first = register(store, "first")
        claim = store.start_attempt(
            first.step_run_ids["load"], key=CacheKey("k", parts), inputs={}, owner=OWNER, lease_until=0
        )
        assert isinstance(claim, Claim)
        store.complete_attempt(claim, [])
        second = register(store, "second")
        store.record_hits(
            [CacheHit(second.step_run_ids["load"], CacheKey("k", parts), {}, claim.step_run_id)]
        )
        assert store.step(claim.step_run_id).key_parts == parts
        assert store.step(second.step_run_ids["load"]).key_parts == parts

    def test_a_step_that_failed_before_may_be_a_hit(self, store: BaseMetadataStore) -> None:
        first = register(store, "first")
        (one,) = complete(store, first.step_run_ids["load"])
        second = register(store, "second", steps=["a", "load"])
        step = second.step_run_ids["load"]
        store.fail_attempt(start(store, step, inputs={"old": one.id}), ERROR, final=False)
        store.record_hits([CacheHit(step, key(), {"new": one.id}, first.step_run_ids["load"])])
        assert store.step(step).status is ExecutionStatus.CACHED
        assert list(store.inputs(step)) == ["new"]

    def test_results_of_another_artifact_store_are_no_hits(self, store: BaseMetadataStore) -> None:
        first = register(store, "first", steps=["load"])
        complete(
            store,
            first.step_run_ids["load"],
            artifacts=[artifact(store="/here"), artifact("b", store="/here")],
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

    def test_recent_results_come_from_the_last_run_that_ended(self, store: BaseMetadataStore) -> None:
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

    def test_a_result_can_be_forgotten(self, store: BaseMetadataStore) -> None:
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

    def test_a_result_tells_when_it_was_made(self, store: BaseMetadataStore) -> None:
        first, second = register(store, "first"), register(store, "second")
        source, cached = first.step_run_ids["load"], second.step_run_ids["load"]
        complete(store, source)
        ended = store.step(source).ended
        hit(store, cached, source)
        for found in (store.find_results(["k"], "/store"), store.results_of_run(second.run_id, "/store")):
            assert (found["k"].step_run_id, found["k"].ended) == (source, ended)

    def test_the_results_of_one_run(self, store: BaseMetadataStore) -> None:
        first = register(store, "first", steps=["a", "b", "c"])
        complete(store, first.step_run_ids["a"], "a")
        store.fail_attempt(start(store, first.step_run_ids["b"], "b"), ERROR)
        second = register(store, "second", steps=["a", "b"])
        hit(store, second.step_run_ids["a"], first.step_run_ids["a"], "a")
        complete(store, second.step_run_ids["b"], "b")
        assert set(store.results_of_run(first.run_id, "/store")) == {"a"}
        assert set(store.results_of_run(second.run_id, "/store")) == {"a", "b"}
        assert store.results_of_run(second.run_id, "/elsewhere") == {}
        assert store.results_of_run(4711, "/store") == {}

    # What was before

    def test_the_step_before(self, store: BaseMetadataStore) -> None:
        first = register(store, "first", steps=["a", "b"])
        complete(store, first.step_run_ids["a"], "a1")
        skipped = register(store, "skipped", steps=["a", "b"])
        store.skip_steps(dict.fromkeys(skipped.step_run_ids.values(), "no"))
        other = register(store, "other", pipeline="other", steps=["a"])
        complete(store, other.step_run_ids["a"], "a0")
        last = register(store, "last", steps=["a", "b", "c"])
        later = register(store, "later", steps=["a"])
        complete(store, later.step_run_ids["a"], "a3")
        a, b, c = last.step_run_ids.values()
        assert store.previous_step(a) == store.step(first.step_run_ids["a"])
        assert store.previous_step(b) is None
        assert store.previous_step(c) is None
        assert store.previous_step(first.step_run_ids["a"]) is None
        assert store.previous_step(4711) is None

    def test_the_instance_before(self, store: BaseMetadataStore) -> None:
        found = []
        for name in ("first", "second"):
            run = register(store, name)
            _, ids = store.expand_step(start(store, run.step_run_ids["load"]), [], instances("load", 3))
            for id in ids:
                complete(store, id, f"i{id}")
            finish(store, run)
            found.append(ids)
        before, now = found
        assert [store.previous_step(id).id for id in now] == before

    def test_how_long_steps_took(self, store: BaseMetadataStore) -> None:
        assert store.durations("digits") == {}
        first = register(store, "first", steps=["load", "train", "test"])
        complete(store, first.step_run_ids["load"], "load")
        complete(store, first.step_run_ids["test"], "test")
        group = first.step_run_ids["train"]
        _, ids = store.expand_step(start(store, group, "group"), [], instances("train", 3))
        for n, id in enumerate(ids):
            complete(store, id, f"i{n}")
        store.end_mapped(group, ExecutionStatus.COMPLETED)
        finish(store, first)

        def seconds(step_run_id: int) -> float:
            step = store.step(step_run_id)
            return step.ended - step.started

        took = {
            "load": seconds(first.step_run_ids["load"]),
            "test": seconds(first.step_run_ids["test"]),
            "train": sum(map(seconds, ids)),
        }
        assert store.durations("digits") == pytest.approx(took, abs=1e-3)

        second = register(store, "second", steps=["load", "train", "test"])
        hit(store, second.step_run_ids["load"], first.step_run_ids["load"], "load")
        store.fail_attempt(start(store, second.step_run_ids["test"]), ERROR)
        store.finish_run(second.run_id, ExecutionStatus.FAILED, ERROR)
        assert store.durations("digits") == pytest.approx(took, abs=1e-3)
        assert store.durations("unknown") == {}

    # Numbers and parameters that a step logs

    def test_metrics_keep_order_and_every_value(self, store: BaseMetadataStore) -> None:
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

    def test_a_parameter_that_is_logged_again_is_replaced(self, store: BaseMetadataStore) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        store.log_parameters(step, {"lr": "0.1", "LR": "other"})
        store.log_parameters(step, {"lr": "0.2", "depth": "3"})
        assert store.logged_parameters(step) == {"LR": "other", "lr": "0.2", "depth": "3"}

    # Lists

    @pytest.fixture
    def eleven(self, store: BaseMetadataStore) -> BaseMetadataStore:
        """A store with eleven runs of two pipelines."""
        for i in range(11):
            register(store, f"run {i}", pipeline="even" if i % 2 == 0 else "odd")
        return store

    def test_runs_come_by_age_in_pages(self, eleven: BaseMetadataStore) -> None:
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

    def test_pipelines_come_by_their_first_run(self, eleven: BaseMetadataStore) -> None:
        assert [p.name for p in eleven.pipelines()] == ["even", "odd"]

    # Several at once

    def test_threads_share_a_store(self, store: BaseMetadataStore) -> None:
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

    def test_one_of_many_gets_the_name(self, store: BaseMetadataStore, reopen: Reopen) -> None:
        store.count_runs()
        results: list[RunRegistration | DuplicateRunNameError] = []
        barrier = threading.Barrier(6)

        def work() -> None:
            mine = reopen()
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

    def test_one_of_many_publishes(self, store: BaseMetadataStore, reopen: Reopen) -> None:
        run = register(store)
        step = run.step_run_ids["load"]
        outcomes: list[str] = []
        barrier = threading.Barrier(6)

        def work(number: int) -> None:
            mine = reopen()
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

    def test_any_history(self, store: BaseMetadataStore) -> None:
        class OfStore(History):
            pass

        OfStore.store = store
        run_state_machine_as_test(OfStore, settings=thorough(self.examples, stateful_step_count=20))
