"""Pruning, deleting, bringing back and importing, killed before each of their operations in turn."""

import os
import warnings
from collections.abc import Callable
from datetime import timedelta
from itertools import count
from pathlib import Path
from uuid import uuid4

import pytest

from tests.housekeeping import MemoryArtifactStore, Step, World, faults
from zenml.artifact_stores import LocalArtifactStore
from zenml.metadata_stores.database import Database
from zenml.post_execution import import_run, run_of
from zenml.post_execution.prune import delete_runs, prune
from zenml.post_execution.trash import Trash
from zenml.post_execution.view import Stores

ALL = timedelta(0)
KILLED = 9
MOST = 200  # operations: more are a loop that does not end


def world(folder: Path) -> World:
    """Two runs to let go, one of which made what a third one, to be kept, has taken; only it was sent with its code."""
    made = World(folder / uuid4().hex)
    code = made.send_code("first", days=3)
    made.run("first", Step("load", 1), Step("train", 2, inputs=["load"], log="hello\n"), age=10, code=code)
    made.run("second", Step("load", 3), Step("train", 4, inputs=["load"], fails=True, log="oh\n"), age=10)
    made.run("kept", Step("load", source=("first", "load")), Step("train", 5, inputs=["load"]))
    return made


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that is killed before its operation of that number; whether there was one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads: this child does little
        pid = os.fork()
    if pid == 0:
        left = [number]

        def dying(method):
            def operation(*args, **kwargs):
                left[0] -= 1
                if left[0] < 0:
                    os._exit(KILLED)
                return method(*args, **kwargs)

            return operation

        try:
            for name in ("open", "rename", "rmtree", "makedirs", "remove"):
                setattr(LocalArtifactStore, name, dying(getattr(LocalArtifactStore, name)))
            Database.write = dying(Database.write)
            work()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - this process must not go on as a second pytest
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, KILLED), f"the work failed, killed at {number}"
    return code == KILLED


def each_kill(tmp_path: Path, prepare: Callable[[World], Callable[[], object]]):
    """A world, and what its work left behind, for each operation that it was killed at; at the end, for none."""
    for number in count():
        assert number < MOST
        made = world(tmp_path)
        before = made.files()
        was_killed = killed_at(number, prepare(made))
        yield made, before, was_killed
        if not was_killed:
            assert number > 5
            return


def trash(made: World) -> Trash:
    return Trash(Stores(*made.stores))


def removed(made: World) -> list[tuple[str, str]]:
    return [
        (one.run, one.step) for one in reversed(made.metadata.recorded_artifacts()) if one.removed is not None
    ]


def let_go(made: World) -> Callable[[], object]:
    return lambda: prune(*made.stores, keep_last=1, older_than=timedelta(seconds=5), dry_run=False)


def test_a_killed_prune_loses_nothing_and_is_finished_by_the_next(tmp_path):
    for made, before, _ in each_kill(tmp_path, let_go):
        assert faults(made.view("kept")) == []
        let_go(made)()
        assert faults(made.view("kept")) == []
        assert removed(made) == [("first", "train"), ("second", "load")]
        assert all(entry.state == "done" for entry in trash(made).entries())
        left = {path.split("/", 2)[2] for path in made.files()}
        assert left == {
            "load.1/output/data.json",
            "train.1/output/data.json",
            "train.1/log.txt",
        }
        for entry in reversed(trash(made).entries()):
            trash(made).restore(entry)
        assert (made.files(), made.trash(), removed(made)) == (before, [], [])


def test_a_killed_undo_is_finished_by_the_next(tmp_path):
    def undo(made: World):
        let_go(made)()
        return lambda: trash(made).restore(trash(made).entry(None))

    for made, before, _ in each_kill(tmp_path, undo):
        prune(*made.stores, dry_run=False)
        for entry in reversed(trash(made).entries()):
            trash(made).restore(entry)
        assert (made.files(), removed(made)) == (before, [])
        assert faults(made.view("first")) == []


def test_a_killed_deletion_is_finished_by_the_next_prune(tmp_path):
    def delete(made: World):
        return lambda: delete_runs(*made.stores, [made.metadata.run_by_name("second")])

    for made, before, was_killed in each_kill(tmp_path, delete):
        history = made.metadata.history(made.view("first").id)
        prune(*made.stores, dry_run=False)
        assert made.metadata.history(history.run.id) == history
        second = run_of(*made.stores, "second")
        deleted = [entry for entry in trash(made).entries() if entry.kind == "delete"]
        # It was not begun, or it is finished.
        assert (second is None) == bool(deleted)
        assert was_killed or deleted
        for entry in reversed(trash(made).entries()):
            trash(made).restore(entry)
        assert made.files() == before
        assert [run.name for run in made.metadata.runs()] == ["first", "second", "kept"]
        assert faults(made.view("second")) == []


def test_a_killed_end_of_the_trash_is_finished_by_the_next(tmp_path):
    def empty(made: World):
        let_go(made)()
        return lambda: trash(made).empty(before=1e12)

    for made, _, _ in each_kill(tmp_path, empty):
        prune(*made.stores, dry_run=False)
        trash(made).empty(before=1e12)
        assert trash(made).entries() == []
        assert faults(made.view("kept")) == []
        assert removed(made) == [("first", "train"), ("second", "load")]


def test_a_killed_import_leaves_all_or_nothing(tmp_path):
    source = world(tmp_path)
    file = source.view("first").export(tmp_path / "first.zip")

    def import_(made: World):
        return lambda: import_run(*made.stores, file, name="imported")

    for made, before, was_killed in each_kill(tmp_path, import_):
        prune(*made.stores, dry_run=False)
        for entry in reversed(trash(made).entries()):
            trash(made).restore(entry)
        imported = run_of(*made.stores, "imported")
        if imported is None:
            assert was_killed
            assert (made.files(), made.trash()) == (before, [])
        else:
            assert faults(imported) == []
            assert [step.output.read() for step in imported.steps] == [1, 2]
            assert made.trash() == []


def test_a_remote_store_that_stops_in_the_middle_of_a_file(tmp_path, monkeypatch):
    """Where a rename is a copy and a removal, both may be there."""
    made = World(tmp_path, remote=True)
    made.run("old", Step("load", 1), age=10)
    before = made.files()
    rename = MemoryArtifactStore.rename

    def half(self, src, dst, overwrite=False):
        self.copyfile(src, dst, overwrite)
        raise KeyboardInterrupt

    monkeypatch.setattr(MemoryArtifactStore, "rename", half)
    with pytest.raises(KeyboardInterrupt):
        prune(*made.stores, older_than=ALL, dry_run=False)
    monkeypatch.setattr(MemoryArtifactStore, "rename", rename)
    prune(*made.stores, dry_run=False)
    assert made.files() == {}
    monkeypatch.setattr(MemoryArtifactStore, "rename", half)
    with pytest.raises(KeyboardInterrupt):
        trash(made).restore(trash(made).entry(None))
    monkeypatch.setattr(MemoryArtifactStore, "rename", rename)
    prune(*made.stores, dry_run=False)
    assert (made.files(), made.trash()) == (before, [])
