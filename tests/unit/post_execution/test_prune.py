"""Removing values that need not be kept: counted by reference, by way of a trash."""

import json
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.housekeeping import Step, World, faults
from tests.metadata_stores import DEAD
from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    ArtifactGoneError,
    ConfigurationError,
    DoesNotExistException,
    DuplicateRunNameError,
    InUseError,
    UnreadableFileError,
)
from zenml.liveness import this_process
from zenml.model.runs import Origin
from zenml.post_execution.prune import delete_runs, let_go, prune
from zenml.post_execution.trash import Trash
from zenml.post_execution.view import Stores

DAY = 86400.0
ALL = timedelta(0)


@pytest.fixture(params=["local", "remote"])
def world(request, tmp_path) -> World:
    return World(tmp_path, remote=request.param == "remote")


def trash(world: World) -> Trash:
    return Trash(Stores(*world.stores))


def values(world: World, run: str) -> dict[str, object]:
    return {step.name: step.output.read() for step in world.view(run).steps}


# What goes, and what stays


def test_without_a_condition_every_value_stays(world):
    world.run("old", Step("load", 1), age=1000 * DAY)
    result = prune(*world.stores, dry_run=False)
    assert (result.runs, result.leftovers, result.entry) == ([], [], None)
    assert values(world, "old") == {"load": 1}


def test_a_dry_run_tells_and_changes_nothing(world):
    world.run("old", Step("load", 1), Step("train", 22, inputs=["load"]), age=10 * DAY)
    world.run("new", Step("load", 3))
    before = world.files()
    result = prune(*world.stores, older_than=timedelta(days=9))
    assert result.dry_run
    assert [(one.run.name, one.artifacts, one.bytes) for one in result.runs] == [("old", 2, 3)]
    assert (world.files(), world.trash()) == (before, [])


def test_what_no_kept_run_uses_goes_to_the_trash_and_comes_back(world):
    world.run("old", Step("load", 1), Step("train", 22, inputs=["load"], log="hello\n"), age=10 * DAY)
    world.run("new", Step("load", source=("old", "load")), Step("train", 3, inputs=["load"]))
    before = world.files()

    result = prune(*world.stores, older_than=timedelta(days=9), dry_run=False)
    assert (result.entry.state, result.entry.files, result.entry.bytes) == ("done", 1, 2)
    assert values(world, "new") == {"load": 1, "train": 3}
    with pytest.raises(ArtifactGoneError):
        world.view("old").get_step("train").output.read()
    # What is recorded stays, the log included.
    assert world.view("old").status is ExecutionStatus.COMPLETED
    gone = set(before) - set(world.files())
    assert {path.split("/", 2)[2] for path in gone} == {"train.1/output/data.json"}
    assert prune(*world.stores, older_than=timedelta(days=9), dry_run=False).entry is None

    trash(world).restore(trash(world).entry(None))
    assert world.files() == before
    assert world.trash() == []
    assert values(world, "old") == {"load": 1, "train": 22}
    assert len(world.metadata.find_results(["key of 2"], world.artifacts.path)) == 1


def test_conditions_are_taken_together(world):
    for number in range(5):
        world.run(f"good {number}", Step("load", number), age=(9 - number) * DAY)
    world.run("bad 1", Step("load", 5), Step("train", 0, fails=True), age=3 * DAY)
    world.run("bad 2", Step("load", 6), Step("train", 0, fails=True), age=2 * DAY)
    world.run("other", Step("load", 7), age=9 * DAY, pipeline="other")

    def selected(**conditions):
        return [run.name for run in let_go(world.metadata.ended_runs(), **conditions)]

    assert selected(failed=True) == ["bad 1", "bad 2"]
    assert selected(failed=True, older_than=timedelta(days=2.5)) == ["bad 1"]
    assert selected(older_than=timedelta(days=7.5)) == ["good 0", "good 1", "other"]
    # The last two of each pipeline, and the last two that completed.
    assert selected(keep_last=2) == ["good 0", "good 1", "good 2"]
    assert selected(keep_last=2, older_than=timedelta(days=8.5)) == ["good 0"]
    assert selected(keep_last=0) == [run.name for run in world.metadata.ended_runs()]
    assert selected() == []


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"keep_last": -1}, "keep_last is -1; expected 0 or more"),
        ({"older_than": timedelta(days=-1)}, "expected no time in the future"),
    ],
)
def test_conditions_that_cannot_be(world, conditions, message):
    with pytest.raises(ConfigurationError, match=message):
        prune(*world.stores, **conditions)


def test_what_failed_attempts_left_behind_goes_and_their_logs_stay(world):
    world.run("bad", Step("load", 1), Step("train", 2, fails=True, log="so far so good\n"))
    world.run("running", Step("load", 3, fails=True), unfinished=True)
    before = world.files()
    result = prune(*world.stores, dry_run=False)
    assert [(one.folder.split("/", 2)[2], one.files, one.bytes) for one in result.leftovers] == [
        ("train.1", 1, 1)
    ]
    assert {path.split("/", 2)[2] for path in set(before) - set(world.files())} == {
        "train.1/output/data.json"
    }
    assert prune(*world.stores, dry_run=False).leftovers == []


def test_code_that_was_sent_goes_when_no_run_refers_to_it(world):
    shared, old, running = (world.send_code(name, days=9) for name in ("shared", "old", "running"))
    world.send_code("unused", days=2)
    # A run that began then may not be recorded yet.
    recent = [world.send_code("begun", days=days) for days in (1, 0)]
    world.run("first", Step("load", 1), age=9 * DAY, code=shared)
    world.run("second", Step("load", 2), age=9 * DAY, code=old)
    world.run("third", Step("load", 3), code=shared)
    world.begin("fourth", Step("load"), code=running)
    before = world.files()

    def told(result):
        return [one.path.rpartition("/")[2] for one in result.code]

    assert told(prune(*world.stores)) == ["unused.tar"]
    conditions = {"older_than": timedelta(days=8), "dry_run": False}
    result = prune(*world.stores, **conditions)
    assert (told(result), result.waits_for) == (
        ["old.tar", "unused.tar"],
        {result.entry.id: ["fourth"]},
    )
    assert world.files() == before
    world.end("fourth")
    prune(*world.stores, **conditions)
    assert all(map(world.artifacts.exists, [shared, running, *recent]))
    assert {path.rpartition("/")[2] for path in set(before) - set(world.files())} == {
        "data.json",
        "old.tar",
        "unused.tar",
    }
    for entry in trash(world).entries():
        trash(world).restore(entry)
    assert world.files() == before


def test_code_of_a_deleted_run_goes_with_the_next_prune(world):
    world.run("only", Step("load", 1), code=world.send_code("sent", days=3))
    assert prune(*world.stores).code == []
    delete_runs(*world.stores, records(world, "only"))
    result = prune(*world.stores, dry_run=False)
    assert [(one.path.rpartition("/")[2], one.bytes) for one in result.code] == [("sent.tar", 4)]
    assert world.files() == {}
    assert prune(*world.stores).code == []


def test_code_that_runs_of_another_metadata_store_were_sent_with_is_not_ours(world, tmp_path):
    other = World(tmp_path / "other")
    other.artifacts = world.artifacts
    other.send_code("theirs", days=9)
    assert prune(*world.stores).code == []


def test_files_of_others_are_not_touched(world):
    view = world.run("old", Step("load", 1), age=DAY)
    folder = view.get_step("load").output.uri
    own = [
        f"{world.artifacts.path}/notes.txt",
        f"{folder}/mine.txt",
        f"{world.artifacts.path}/runs/{uuid4()}/x.1/y",
    ]
    for path in own:
        world.artifacts.makedirs(path.rpartition("/")[0])
        with world.artifacts.open(path, "w") as file:
            file.write("mine")
    result = prune(*world.stores, older_than=ALL, dry_run=False)
    assert result.entry.files == 1
    assert all(world.artifacts.exists(path) for path in own)


def test_the_trash_of_another_metadata_store_is_not_ours(world, tmp_path):
    world.run("old", Step("load", 1), age=DAY)
    prune(*world.stores, older_than=ALL, dry_run=False)
    other = World(tmp_path / "other")
    assert Trash(Stores(other.metadata, world.artifacts)).entries() == []
    assert Trash(Stores(other.metadata, world.artifacts)).empty(before=1e12) == []
    assert len(trash(world).entries()) == 1


def test_values_in_another_artifact_store_stay(world, tmp_path):
    world.run("old", Step("load", 1), age=DAY)
    other = World(tmp_path / "other")
    assert prune(world.metadata, other.artifacts, older_than=ALL).runs == []


# Runs in progress


def test_what_a_run_in_progress_was_promised_is_not_touched(world):
    """A run decides for a hit, then values are pruned, then the run records its hit."""
    world.run("old", Step("load", 1), Step("train", 2, inputs=["load"]), age=DAY)
    hit = Step("load", source=("old", "load"))
    world.begin("running", hit, Step("train", 3, inputs=["load"]))

    result = prune(*world.stores, older_than=ALL, dry_run=False)
    assert result.waits_for == {result.entry.id: ["running"]}
    # Nobody else can be given it now, and it can be read all the same.
    assert world.metadata.find_results(["key of 1", "key of 2"], world.artifacts.path) == {}
    world.take("running", hit)
    assert world.view("running").get_step("load").output.read() == 1

    again = prune(*world.stores, older_than=ALL, dry_run=False)
    assert list(again.waits_for.values()) == [["running"]]
    world.take("running", Step("train", 3, inputs=["load"]))
    world.end("running")

    prune(*world.stores, dry_run=False)
    assert values(world, "running") == {"load": 1, "train": 3}
    assert list(world.metadata.find_results(["key of 1", "key of 2"], world.artifacts.path)) == ["key of 1"]
    with pytest.raises(ArtifactGoneError):
        world.view("old").get_step("train").output.read()


def test_what_a_run_in_progress_goes_on_from_is_kept(world):
    origin = world.run("failed", Step("load", 1), Step("train", 2, fails=True), age=DAY)
    world.begin("resumed", Step("load"), origin=Origin("resume", origin.id))
    prune(*world.stores, older_than=ALL, dry_run=False)
    assert len(world.metadata.results_of_run(origin.id, world.artifacts.path)) == 1


def test_a_run_that_died_is_not_waited_for(world):
    world.run("old", Step("load", 1), age=DAY)
    world.begin("dead", Step("load"), owner=DEAD)
    assert prune(*world.stores, older_than=ALL, dry_run=False).entry.state == "done"


def test_a_removal_that_waits_can_be_undone(world):
    world.run("old", Step("load", 1), age=DAY)
    world.begin("running", Step("load"))
    before = world.files()
    prune(*world.stores, older_than=ALL, dry_run=False)
    trash(world).restore(trash(world).entry(None))
    assert (world.files(), world.trash()) == (before, [])
    assert len(world.metadata.find_results(["key of 1"], world.artifacts.path)) == 1


# Any graph of runs


@st.composite
def histories(draw):
    """Runs whose steps read earlier ones of the run, and are hits of any step that really ran in an earlier run."""
    runs, sources = [], []
    for number in range(draw(st.integers(1, 5))):
        steps, made = [], []
        for index in range(draw(st.integers(1, 3))):
            name = f"s{index}"
            inputs = draw(st.lists(st.sampled_from(made), unique=True, max_size=2)) if made else []
            source = draw(st.sampled_from([None, *sources])) if sources else None
            fails = source is None and index > 0 and draw(st.booleans()) and draw(st.booleans())
            steps.append(Step(name, number * 10 + index, inputs, source, fails=fails))
            if fails:
                break
            made.append(name)
        sources += [(f"run {number}", step.name) for step in steps if step.source is None and not step.fails]
        pipeline = draw(st.sampled_from(["a", "b"]))
        unfinished = draw(st.integers(0, 4)) == 0
        runs.append((f"run {number}", steps, pipeline, draw(st.integers(0, 5)) * DAY, unfinished))
    return runs


conditions = st.fixed_dictionaries(
    {},
    optional={
        "older_than": st.integers(0, 5).map(lambda days: timedelta(days=days)),
        "keep_last": st.integers(0, 2),
        "failed": st.just(True),
    },
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(history=histories(), conditions=conditions)
def test_prune_never_removes_what_a_kept_run_refers_to_and_undo_restores_every_byte(
    tmp_path, history, conditions
):
    world = World(tmp_path / uuid4().hex)
    for name, steps, pipeline, age, unfinished in history:
        world.run(name, *steps, pipeline=pipeline, age=age, unfinished=unfinished)
    before = world.files()
    digests = [f"key of {id}" for id in range(30)]
    results = world.metadata.find_results(digests, world.artifacts.path)
    gone = {run.name for run in let_go(world.metadata.ended_runs(), **conditions)}
    prune(*world.stores, **conditions, dry_run=False)

    kept = [name for name, *_ in history if name not in gone]
    assert [fault for name in kept for fault in faults(world.view(name))] == []
    for name, *_, unfinished in history:
        if unfinished:
            world.end(name)
    prune(*world.stores, dry_run=False)
    assert [fault for name in kept for fault in faults(world.view(name))] == []

    used = {
        a.id
        for name in kept
        for s in world.view(name).steps
        for a in (*s.outputs.values(), *s.inputs.values())
    }
    for one in world.metadata.recorded_artifacts():
        assert (one.removed is None) == (one.artifact.id in used or one.run not in gone)

    while entries := trash(world).entries():
        trash(world).restore(entries[-1])
    assert world.files() == before
    assert world.metadata.find_results(digests, world.artifacts.path) == results


# The trash


def test_the_trash_is_emptied_for_good(world):
    world.run("old", Step("load", 1), age=DAY)
    entry = prune(*world.stores, older_than=ALL, dry_run=False).entry
    assert trash(world).empty(before=entry.created - 1) == []
    assert [one.id for one in trash(world).empty(before=entry.created)] == [entry.id]
    assert world.trash() == []
    with pytest.raises(DoesNotExistException, match="The trash of the artifact store 'artifacts' is empty"):
        trash(world).entry(None)


def test_an_entry_is_found_by_the_beginning_of_its_id(world):
    for name in ("one", "two"):
        world.run(name, Step("load", 1), age=DAY)
        prune(*world.stores, older_than=ALL, dry_run=False)
    first, second = trash(world).entries()
    assert trash(world).entry(first.id[:10]) == first
    assert trash(world).entry(None) == second
    with pytest.raises(DoesNotExistException, match="has no entry 'xyz'"):
        trash(world).entry("xyz")


@pytest.mark.parametrize("content", ["{", "[]", '{"version": 1}', "null x"])
def test_a_broken_entry_is_named_and_nothing_changed(world, content):
    world.run("old", Step("load", 1), age=DAY)
    entry = prune(*world.stores, older_than=ALL, dry_run=False).entry
    path = f"{world.artifacts.path}/trash/{entry.id}/entry.json"
    with world.artifacts.open(path, "w") as file:
        file.write(content)
    with pytest.raises(UnreadableFileError, match=f"{entry.id}/entry.json.*Nothing was changed"):
        prune(*world.stores, dry_run=False)


def test_what_another_process_works_on_is_left_to_it(world):
    world.run("old", Step("load", 1), age=DAY)
    entry = prune(*world.stores, older_than=ALL, dry_run=False).entry
    path = f"{world.artifacts.path}/trash/{entry.id}/entry.json"
    with world.artifacts.open(path) as file:
        document = json.load(file)
    elsewhere = replace(this_process(), boot_id="another machine")
    document |= {
        "state": "emptying",
        "owner": {name: getattr(elsewhere, name) for name in elsewhere.__slots__},
    }
    with world.artifacts.open(path, "w") as file:
        json.dump(document, file)
    prune(*world.stores, dry_run=False)
    assert trash(world).empty(before=1e12) == []
    (entry,) = trash(world).entries()
    with pytest.raises(InUseError, match="cannot be brought back: it is being deleted for good"):
        trash(world).restore(entry)


# Deleting runs


def records(world: World, *names: str):
    return [world.metadata.run_by_name(name) for name in names]


def test_a_deleted_run_is_gone_and_comes_back_as_it_was(world):
    world.run("stays", Step("load", 0))
    world.run(
        "gone",
        Step("load", source=("stays", "load")),
        Step("train", 2, inputs=["load"], log="hello\n"),
        Step("report", 3, fails=True),
    )
    before, history = world.files(), world.view("gone").history
    entry = delete_runs(*world.stores, records(world, "gone"))
    assert (entry.state, entry.files) == ("done", 3)
    assert [run.name for run in world.metadata.runs()] == ["stays"]
    assert values(world, "stays") == {"load": 0}
    assert {path.split("/")[1] for path in world.files()} == {str(world.view("stays").uuid)}

    trash(world).restore(trash(world).entry(entry.id))
    assert world.files() == before
    restored = world.view("gone").history
    assert replace(restored, attempts={}) == replace(history, attempts={})
    assert world.trash() == []


def test_a_run_whose_results_others_took_goes_only_together_with_them(world):
    world.run("first", Step("load", 1))
    world.run("second", Step("load", source=("first", "load")))
    with pytest.raises(InUseError, match=r"'first' cannot be deleted: 'second' took results.*in one command"):
        delete_runs(*world.stores, records(world, "first"))
    delete_runs(*world.stores, records(world, "first", "second"))
    assert world.metadata.runs() == []
    assert world.files() == {}


def test_a_run_that_has_not_ended_is_not_deleted(world):
    world.run("running", Step("load", 1), unfinished=True)
    with pytest.raises(InUseError, match=r"'running' is running: it cannot be deleted.*runs cancel running"):
        delete_runs(*world.stores, records(world, "running"))


def test_a_run_that_one_in_progress_goes_on_from_is_not_deleted(world):
    origin = world.run("failed", Step("load", 1, fails=True))
    world.begin("resumed", Step("load"), origin=Origin("resume", origin.id))
    with pytest.raises(
        InUseError, match="'failed' cannot be deleted: 'resumed', in progress, goes on from it"
    ):
        delete_runs(*world.stores, records(world, "failed"))


def test_a_run_with_values_elsewhere_is_not_deleted(world, tmp_path):
    world.run("run", Step("load", 1))
    other = World(tmp_path / "other")
    with pytest.raises(ConfigurationError, match="lie in another artifact store"):
        delete_runs(world.metadata, other.artifacts, records(world, "run"))


def test_a_run_is_deleted_when_those_in_progress_have_ended_unless_one_took_its_results(world):
    world.run("free", Step("load", 1))
    world.run("taken", Step("load", 2))
    hit = Step("load", source=("taken", "load"))
    world.begin("running", hit)
    entry = delete_runs(*world.stores, records(world, "free", "taken"))
    assert trash(world).waits_for(entry) == ["running"]
    assert len(world.metadata.runs()) == 3
    world.take("running", hit)
    world.end("running")
    prune(*world.stores, dry_run=False)
    (entry,) = trash(world).entries()
    assert (entry.state, list(entry.uuids), entry.kept) == ("done", ["free"], ("taken",))
    assert [run.name for run in world.metadata.runs()] == ["taken", "running"]
    assert values(world, "running") == {"load": 2}
    assert values(world, "taken") == {"load": 2}


def test_a_deleted_run_does_not_come_back_over_another_of_its_name(world):
    world.run("monday", Step("load", 1))
    delete_runs(*world.stores, records(world, "monday"))
    world.run("monday", Step("load", 2))
    before = world.files()
    with pytest.raises(DuplicateRunNameError, match="another run of that name now. Delete that one first"):
        trash(world).restore(trash(world).entry(None))
    assert world.files() == before
