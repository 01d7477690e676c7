"""What every metadata store does when runs are listed by artifact, pruned, deleted and moved."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias
from uuid import uuid4

import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException, DuplicateRunNameError, InUseError
from zenml.metadata_stores import BaseMetadataStore
from zenml.model.housekeeping import ArtifactUse, RecordedArtifact, RunHistory, UnpublishedAttempt
from zenml.model.runs import AttemptRecord, CacheHit, Origin, RunRegistration, StepDraft, StepRunRecord
from zenml.testing.conformance.recording import (
    DEAD,
    ERROR,
    artifact,
    complete,
    draft,
    finish,
    hit,
    instances,
    key,
    register,
    start,
)
from zenml.testing.conformance.suite import Suite, undefined

Reopen: TypeAlias = Callable[[], BaseMetadataStore]
ROOT = "/store"


class HousekeepingConformance(Suite):
    """The part of `MetadataStoreConformance` that is about keeping house."""

    @pytest.fixture
    def store(self) -> BaseMetadataStore:
        """The store under test."""
        undefined(self, "store", "a metadata store that nothing is recorded in")

    @pytest.fixture
    def reopen(self) -> Reopen:
        """Gives the same store over connections of its own."""
        undefined(self, "reopen", "a function that gives the same metadata store over connections of its own")

    # Listing

    def test_artifacts_are_listed_newest_first_by_pipeline_run_and_step(
        self, store: BaseMetadataStore
    ) -> None:
        first = chain(store, "first")
        second = chain(store, "second", cached_from=first)
        chain(store, "third", pipeline="other")
        made = [
            ("first", "data"),
            ("first", "model"),
            ("second", "model"),
            ("third", "data"),
            ("third", "model"),
        ]
        assert names(store.recorded_artifacts()) == made[::-1]
        assert names(store.recorded_artifacts(limit=2)) == made[:2:-1]
        assert names(store.recorded_artifacts(pipeline="digits", step="train")) == [
            ("second", "model"),
            ("first", "model"),
        ]
        # What a run took from the cache is its own too; it says who made it.
        assert names(store.recorded_artifacts(run_id=second.run_id)) == [
            ("second", "model"),
            ("first", "data"),
        ]
        assert store.recorded_artifacts(pipeline="unknown") == []
        newest = store.recorded_artifacts(limit=1)[0]
        assert (newest.pipeline, newest.step, newest.map_index, newest.removed) == (
            "other",
            "train",
            -1,
            None,
        )
        assert newest.created == store.step(newest.artifact.producer).ended

    def test_who_uses_an_artifact(self, store: BaseMetadataStore) -> None:
        first = chain(store, "first")
        chain(store, "second", cached_from=first)
        assert store.artifact_uses(ids(store, first)["data"]) == [
            ArtifactUse("output", "data", "first", "load", -1),
            ArtifactUse("cached output", "data", "second", "load", -1),
            ArtifactUse("input", "x", "first", "train", -1),
            ArtifactUse("input", "x", "second", "train", -1),
        ]
        with pytest.raises(DoesNotExistException, match="no artifact with the id 4711"):
            store.artifact_uses(4711)

    def test_a_store_without_runs_has_nothing_to_keep(self, store: BaseMetadataStore) -> None:
        assert store.recorded_artifacts() == []
        assert store.unfinished_runs() == []
        assert store.ended_runs() == []
        assert store.unpublished_attempts() == []
        assert store.unused_artifacts([], ROOT) == {}
        assert store.users_of_runs([]) == {}

    # Everything of a run

    def test_all_of_a_run_at_once(self, store: BaseMetadataStore) -> None:
        run = mapped(store)
        history = store.history(run.run_id)
        assert history.run == store.run(run.run_id)
        assert history.deployment == store.deployment(run.run_id)
        assert history.steps == [*store.steps(run.run_id), *store.instances(run.run_id, "work")]
        for step in history.steps:
            assert list(history.attempts.get(step.id, ())) == store.attempts(step.id)
            assert history.inputs.get(step.id, {}) == store.inputs(step.id)
            assert history.outputs.get(step.id, {}) == store.outputs(step.id)
            assert list(history.metrics.get(step.id, ())) == store.metrics(step.id)
            assert history.logged_parameters.get(step.id, {}) == store.logged_parameters(step.id)
        assert history.removed == {}

    @pytest.mark.parametrize(
        "make",
        [
            lambda store: mapped(store),  # noqa: PLW0108 - it is defined below
            lambda store: chain(store, "copy", cached_from=chain(store, "first")),
        ],
    )
    def test_an_imported_run_is_the_same_without_being_a_result(
        self, store: BaseMetadataStore, make: Callable[[BaseMetadataStore], RunRegistration]
    ) -> None:
        history = store.history(make(store).run_id)
        renamed = replace(
            history, run=replace(history.run, name="imported", uuid=uuid4(), pipeline="elsewhere")
        )
        imported = store.history(store.import_run(renamed))

        def steps(history: RunHistory) -> list[StepRunRecord]:
            return [replace(step, id=0, run_id=0, source=None) for step in history.steps]

        def values(history: RunHistory, which: str) -> list[dict[str, str]]:
            return [
                {name: a.digest for name, a in getattr(history, which).get(step.id, {}).items()}
                for step in history.steps
            ]

        def attempts(history: RunHistory) -> list[list[AttemptRecord]]:
            return [
                [replace(a, id=0, step_run_id=0) for a in history.attempts.get(step.id, ())]
                for step in history.steps
            ]

        assert replace(imported.run, id=0, owner=None, lease_until=None) == replace(
            renamed.run, id=0, owner=None, lease_until=None
        )
        assert imported.deployment == history.deployment
        assert steps(imported) == steps(history)
        assert attempts(imported) == attempts(history)
        assert values(imported, "inputs") == values(history, "inputs")
        assert values(imported, "outputs") == values(history, "outputs")
        assert [m.value for ms in imported.metrics.values() for m in ms] == [
            m.value for ms in history.metrics.values() for m in ms
        ]
        assert list(imported.logged_parameters.values()) == list(history.logged_parameters.values())

        digests = [step.cache_key for step in history.steps if step.cache_key]
        own = {step.id for step in imported.steps}
        assert not own & {result.step_run_id for result in store.find_results(digests, ROOT).values()}
        assert store.recent_results("elsewhere", ROOT) == {}
        assert store.results_of_run(imported.run.id, ROOT) == {}
        with pytest.raises(DuplicateRunNameError, match="'imported' is recorded"):
            store.import_run(replace(renamed, run=replace(renamed.run, uuid=uuid4())))

    # What decides whether a run is kept

    def test_runs_in_progress_and_runs_that_have_ended(self, store: BaseMetadataStore) -> None:
        done = chain(store, "done")
        register(store, "dead", owner=DEAD)
        running = register(store, "running", origin=Origin("resume", done.run_id))
        assert [run.name for run in store.unfinished_runs()] == ["running"]
        ended = {run.name: run for run in store.ended_runs()}
        assert {name: run.status.value for name, run in ended.items()} == {
            "done": "completed",
            "dead": "crashed",
        }
        assert ended["done"].is_origin
        assert not ended["dead"].is_origin
        assert ended["done"].ended == store.run(done.run_id).ended
        finish(store, running)
        assert not any(run.is_origin for run in store.ended_runs())

    def test_attempts_that_published_nothing(self, store: BaseMetadataStore) -> None:
        run = mapped(store)
        uuid = store.run(run.run_id).uuid
        assert store.unpublished_attempts() == [
            UnpublishedAttempt(uuid, "work", 2, 1),
            UnpublishedAttempt(uuid, "work", 2, 2),
        ]
        running = register(store, "running")
        store.fail_attempt(start(store, running.step_run_ids["load"]), ERROR, final=False)
        assert len(store.unpublished_attempts()) == 2

    # Removing the files of artifacts

    def test_an_artifact_is_used_as_long_as_one_run_is_kept_that_made_or_took_or_read_it(
        self, store: BaseMetadataStore
    ) -> None:
        first = chain(store, "first")
        second = chain(store, "second", cached_from=first)
        data, model = ids(store, first).values()
        unused = store.unused_artifacts([first.run_id], ROOT)
        assert {run: [a.id for a in found] for run, found in unused.items()} == {first.run_id: [model]}
        both = store.unused_artifacts([first.run_id, second.run_id], ROOT)
        assert {run: [a.id for a in found] for run, found in both.items()} == {
            first.run_id: [data, model],
            second.run_id: [ids(store, second)["model"]],
        }
        assert store.unused_artifacts([second.run_id], "/elsewhere") == {}

    def test_what_is_set_aside_is_no_result_any_more(self, store: BaseMetadataStore) -> None:
        first = chain(store, "first")
        second = chain(store, "second", cached_from=first)
        moment = time.time()
        store.set_aside([first.run_id], ROOT, moment)
        assert list(store.find_results(["load of first", "train of first"], ROOT)) == ["load of first"]
        assert [one.removed for one in store.recorded_artifacts(run_id=first.run_id)] == [moment, None]
        assert [a.name for a in store.removed_artifacts([first.run_id], ROOT, moment)] == ["model"]
        assert store.history(first.run_id).removed == {ids(store, first)["model"]: moment}
        store.set_aside([first.run_id, second.run_id], ROOT, moment + 1)
        assert store.results_of_run(second.run_id, ROOT) == {}
        assert store.recent_results("digits", ROOT) == {}
        # A later mark leaves an earlier one as it is, and taking one back leaves the other.
        store.bring_back([first.run_id, second.run_id], ROOT, moment + 1)
        assert list(store.find_results(["load of first", "train of first"], ROOT)) == ["load of first"]
        store.bring_back([first.run_id], ROOT, moment)
        assert list(store.find_results(["load of first", "train of first"], ROOT)) == [
            "load of first",
            "train of first",
        ]

    def test_an_artifact_that_was_promised_before_it_was_set_aside_is_kept(
        self, store: BaseMetadataStore, reopen: Reopen
    ) -> None:
        first = chain(store, "first")
        late = register(store, "late", steps=["load"])
        store.set_aside([first.run_id], ROOT, 5.0)
        other_process = reopen()
        other_process.record_hits(
            [CacheHit(late.step_run_ids["load"], key("load of first"), {}, first.step_run_ids["load"])]
        )
        store.confirm_removal([first.run_id], ROOT, 5.0)
        assert [a.name for a in store.removed_artifacts([first.run_id], ROOT, 5.0)] == ["model"]

    def test_many_runs_at_once(self, store: BaseMetadataStore) -> None:
        runs = [chain(store, f"run {i}") for i in range(110)]
        chain(store, "kept", cached_from=runs[105])
        let_go = [run.run_id for run in runs]
        assert sum(map(len, store.unused_artifacts(let_go, ROOT).values())) == 219
        store.set_aside(let_go, ROOT, 1.0)
        store.confirm_removal(let_go, ROOT, 1.0)
        assert len(store.removed_artifacts(let_go, ROOT, 1.0)) == 219
        store.bring_back(let_go, ROOT, 1.0)
        assert store.removed_artifacts(let_go, ROOT, 1.0) == []

    # Whole runs

    def test_the_runs_that_use_results_of_others(self, store: BaseMetadataStore) -> None:
        first = chain(store, "first")
        second = chain(store, "second", cached_from=first)
        assert store.users_of_runs([first.run_id]) == {first.run_id: {second.run_id}}
        assert store.users_of_runs([second.run_id]) == {}
        assert store.users_of_runs([first.run_id, second.run_id]) == {}
        with pytest.raises(InUseError, match="Other runs use results"):
            store.delete_runs([first.run_id])
        assert store.run(first.run_id).name == "first"

    def test_where_the_artifacts_of_runs_lie(self, store: BaseMetadataStore) -> None:
        run = register(store, "run")
        complete(store, run.step_run_ids["load"], artifacts=[artifact(store="/a"), artifact("b", store="/b")])
        finish(store, run)
        assert set(store.stores_of_runs([run.run_id])) == {"/a", "/b"}
        store.set_aside([run.run_id], "/b", 1.0)
        assert set(store.stores_of_runs([run.run_id])) == {"/a"}

    def test_deleted_runs_can_be_put_back_as_they_were(self, store: BaseMetadataStore) -> None:
        first = chain(store, "first", pipeline="gone")
        second = chain(store, "second", cached_from=first, pipeline="gone")
        third = mapped(store)
        chain(store, "stays")
        before = [store.history(run.run_id) for run in (first, second, third)]
        all_ids = [first.run_id, second.run_id, third.run_id]

        rows = json.loads(json.dumps(store.dump_runs(all_ids)))
        store.delete_runs(all_ids)
        assert [run.name for run in store.runs()] == ["stays"]
        assert store.pipeline("gone") is None
        assert names(store.recorded_artifacts(pipeline="gone")) == []
        assert not any(store.dump_runs(all_ids).values())
        store.delete_runs(all_ids)

        after = chain(store, "after")
        assert after.run_id > max(all_ids)
        store.restore_runs(rows)
        store.restore_runs(rows)

        def plain(history: RunHistory) -> RunHistory:  # ids of attempts are nobody's business
            attempts = {s: [replace(a, id=0) for a in found] for s, found in history.attempts.items()}
            return replace(history, attempts=attempts)

        assert [plain(store.history(id)) for id in all_ids] == [plain(history) for history in before]
        assert list(store.find_results(["load of first"], ROOT)) == ["load of first"]
        assert [p.name for p in store.pipelines()] == ["digits", "gone"]

    def test_deleted_runs_cannot_be_put_back_under_a_name_that_is_taken(
        self, store: BaseMetadataStore
    ) -> None:
        first = chain(store, "first")
        rows = store.dump_runs([first.run_id])
        store.delete_runs([first.run_id])
        chain(store, "first")
        with pytest.raises(DuplicateRunNameError, match="'first' is recorded"):
            store.restore_runs(rows)

    def test_deleted_runs_cannot_be_put_back_without_what_they_used(self, store: BaseMetadataStore) -> None:
        first = chain(store, "first")
        second = chain(store, "second", cached_from=first)
        rows = store.dump_runs([second.run_id])
        store.delete_runs([second.run_id])
        store.delete_runs([first.run_id])
        with pytest.raises(
            DoesNotExistException, match="use results of other runs, which were deleted since"
        ):
            store.restore_runs(rows)
        assert store.runs() == []


def chain(
    store: BaseMetadataStore, name: str, *, cached_from: RunRegistration | None = None, **fields: Any
) -> RunRegistration:
    """A run of load and train, which reads what load gave; or load is taken from the cache of another run."""
    run = register(store, name, steps=["load", "train"], **fields)
    load, train = run.step_run_ids.values()
    if cached_from is None:
        complete(store, load, f"load of {name}", artifacts=[artifact("data")])
    else:
        hit(
            store,
            load,
            cached_from.step_run_ids["load"],
            store.step(cached_from.step_run_ids["load"]).cache_key or "",
        )
    data = store.outputs(load)["data"]
    complete(store, train, f"train of {name}", inputs={"x": data.id}, artifacts=[artifact("model")])
    finish(store, run)
    return run


def ids(store: BaseMetadataStore, run: RunRegistration) -> dict[str, int]:
    """The artifacts that a run made or took, by output name."""
    return {a.name: a.id for step in run.step_run_ids.values() for a in store.outputs(step).values()}


def names(found: Sequence[RecordedArtifact]) -> list[tuple[str, str]]:
    return [(one.run, one.artifact.name) for one in found]


def mapped(store: BaseMetadataStore) -> RunRegistration:
    """A run with a step of three instances, of which the last one failed once and then for good."""
    run = store.register_run(
        draft(
            "mapped",
            steps=[StepDraft("split", "split", {}), StepDraft("work", "work", {"rate": 0.5}, "Work.")],
        )
    )
    split, work = run.step_run_ids.values()
    (parts,) = complete(store, split, "split", artifacts=[artifact("parts")])
    claim = start(store, work, "work", {"part": parts.id})
    items, registered = store.expand_step(
        claim, [artifact(f"part[{i}]") for i in range(3)], instances("work", 3)
    )
    for id, item in list(zip(registered, items, strict=True))[:2]:
        complete(store, id, f"work {item.name}", inputs={"part": item.id})
    store.fail_attempt(start(store, registered[2], "work 2", {"part": items[2].id}), ERROR, final=False)
    store.fail_attempt(start(store, registered[2], "work 2", {"part": items[2].id}), ERROR)
    store.log_metrics(registered[0], {"loss": 0.5, "gap": math.inf})
    store.log_metrics(registered[0], {"loss": 0.25}, step=1)
    store.log_parameters(registered[1], {"note": "näive"})
    store.end_mapped(work, ExecutionStatus.FAILED, ERROR)
    store.finish_run(run.run_id, ExecutionStatus.FAILED, ERROR)
    return run
