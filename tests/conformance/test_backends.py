"""What every storage backend promises, over all of them."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zenml.enums import StackComponentType
from zenml.exceptions import DoesNotExistException, StackComponentExistsError, StackExistsError
from zenml.model.records import ComponentRecord, StackRecord
from zenml.profiles.registry import Registry
from zenml.storage import Backend, Collection
from zenml.storage.memory import Memory
from zenml.storage.sql import SQLBackend
from zenml.storage.yaml_folder import YamlFolder

PERSISTENT = ["yaml", "sqlite", "postgresql", "mariadb"]
spawned = multiprocessing.get_context("spawn")


def open_store(kind: str, place: str) -> Backend:
    return YamlFolder(Path(place)) if kind == "yaml" else SQLBackend(place)


@pytest.fixture(params=PERSISTENT)
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Kind and place of a store that several processes can open."""
    match request.param:
        case "yaml":
            return "yaml", str(tmp_path / "store")
        case "sqlite":
            return "sqlite", f"sqlite:///{tmp_path / 'folder' / 'store.db'}"
        case name:
            return name, request.getfixturevalue(f"{name}_database")


@pytest.fixture(params=["memory", *PERSISTENT])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    match request.param:
        case "memory":
            return Memory()
        case "yaml":
            return YamlFolder(tmp_path / "store")
        case "sqlite":
            return SQLBackend(f"sqlite:///{tmp_path / 'folder' / 'store.db'}")
        case name:
            return SQLBackend(request.getfixturevalue(f"{name}_database"))


def read(backend: Backend, kind: str = "stacks") -> dict:
    with backend.transaction(write=False) as session:
        return session.list(kind)


def test_nothing_is_there_before_the_first_write(backend):
    assert not backend.exists()
    assert read(backend) == {}
    assert not backend.exists()

    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {})

    assert backend.exists()


def test_a_transaction_sees_its_own_writes_and_keeps_them(backend):
    with backend.transaction(write=True) as session:
        session.put("stacks", "b", {"n": 1})
        session.put("stacks", "a", {"n": 2})
        session.put("flavors", "a", {"n": 3})
        session.put("stacks", "b", {"n": 4})
        assert session.get("stacks", "b") == {"n": 4}
        assert list(session.list("stacks")) == ["a", "b"]
        session.delete("stacks", "a")
        assert session.get("stacks", "a") is None

    assert read(backend) == {"b": {"n": 4}}
    assert read(backend, "flavors") == {"a": {"n": 3}}
    with backend.transaction(write=False) as session:
        assert session.get("stacks", "nope") is None


def test_a_transaction_that_fails_leaves_nothing(backend):
    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {"n": 1})

    def change_and_fail() -> None:
        with backend.transaction(write=True) as session:
            session.put("stacks", "a", {"n": 2})
            session.put("stacks", "b", {})
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        change_and_fail()

    assert read(backend) == {"a": {"n": 1}}


def test_a_first_transaction_that_fails_leaves_nothing(backend):
    with pytest.raises(ZeroDivisionError), backend.transaction(write=True) as session:
        session.put("stacks", "a", {"n": 1 / 0})

    assert read(backend) == {}
    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {"n": 1})
    assert read(backend) == {"a": {"n": 1}}


def test_names_that_differ_in_case_or_accents_are_different(backend):
    names = ["stack", "Stack", "STACK", "stäck", "stack ß", "ſtack", "スタック"]
    with backend.transaction(write=True) as session:
        for name in names:
            session.put("stacks", name, {"name": name})

    assert read(backend) == {name: {"name": name} for name in names}
    assert list(read(backend)) == sorted(names)


def test_what_is_read_can_be_changed_without_harm(backend):
    document = {"configuration": {"path": "/a"}}
    with backend.transaction(write=True) as session:
        session.put("stacks", "a", document)
    document["configuration"]["path"] = "/b"
    read(backend)["a"]["configuration"]["path"] = "/c"

    assert read(backend) == {"a": {"configuration": {"path": "/a"}}}


def test_a_reader_does_not_wait_for_a_writer(backend):
    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {"n": 1})

    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {"n": 2})
        started = time.monotonic()
        assert read(backend) == {"a": {"n": 1}}
        assert time.monotonic() - started < 5


def test_a_reader_sees_one_state(backend):
    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {"n": 1})

    with backend.transaction(write=False) as reader:
        assert reader.get("stacks", "a") == {"n": 1}
        with backend.transaction(write=True) as session:
            session.put("stacks", "a", {"n": 2})
            session.put("stacks", "b", {"n": 2})
        assert reader.list("stacks") == {"a": {"n": 1}}

    assert len(read(backend)) == 2


def test_threads_that_count_lose_nothing(backend):
    def count() -> None:
        for _ in range(5):
            with backend.transaction(write=True) as session:
                found = session.get("counters", "n") or {"value": 0}
                session.put("counters", "n", {"value": found["value"] + 1})

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert read(backend, "counters") == {"n": {"value": 20}}


# Against a model

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.sampled_from(
        [
            "yes",
            "null",
            "1",
            "1e3",
            "2026-11-21",
            "0x1F",
            "~",
            "- a",
            "a: b",
            "=",
            "<<",
            "🚀",
            "\x85",
            "\u2028",
            "\ufeff",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.from_regex(r"\w[\w .:@+=-]{0,8}[\w]\Z", fullmatch=True)
KEYS = st.sampled_from(["a", "A", "b", "ä", "artifact_store/a", "yes", "1"]) | NAMES
ACTIONS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "delete", "fail", "commit"]),
        st.sampled_from(["stacks", "flavors"]),
        KEYS,
        st.dictionaries(TEXTS, VALUES, max_size=3),
    ),
    max_size=12,
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_behaves_like_a_dictionary(backend, actions):
    with backend.transaction(write=True) as session:
        for kind in ("stacks", "flavors"):
            for key in session.list(kind):
                session.delete(kind, key)
    model: dict[tuple[str, str], dict] = {}

    def transaction(steps: list) -> None:
        changed = dict(model)
        with backend.transaction(write=True) as session:
            for action, kind, key, document in steps:
                if action == "put":
                    session.put(kind, key, document)
                    changed[kind, key] = document
                elif action == "delete" and (kind, key) in changed:
                    session.delete(kind, key)
                    del changed[kind, key]
                elif action == "fail":
                    raise LookupError
                assert session.get(kind, key) == changed.get((kind, key))
        model.clear()
        model.update(changed)

    steps: list = []
    for step in actions:
        steps.append(step)
        if step[0] in ("fail", "commit"):
            with suppress(LookupError):
                transaction(steps)
            steps = []
    for kind in ("stacks", "flavors"):
        expected = {key: document for (k, key), document in sorted(model.items()) if k == kind}
        assert read(backend, kind) == expected
        assert list(read(backend, kind)) == list(expected)


# Records


def component(name: str, **configuration) -> ComponentRecord:
    return ComponentRecord(StackComponentType.ARTIFACT_STORE, name, "local", uuid4(), configuration)


def test_a_collection_has_the_same_rules_everywhere(backend):
    with backend.transaction(write=True) as session:
        components = Collection(session, ComponentRecord)
        first = component("first", path="/a")
        components.add(first)
        with pytest.raises(StackComponentExistsError, match="Artifact store 'first' already exists"):
            components.add(component("first"))
        with pytest.raises(
            DoesNotExistException, match=r"Artifact store 'frist' does not exist\. Did you mean 'first'\?"
        ):
            components.get("artifact_store/frist")
        components.replace(component("second"), key="artifact_store/first")
        assert components.keys() == ["artifact_store/second"]
        assert [c.name for c in components.within("artifact_store")] == ["second"]
        assert list(components.within("orchestrator")) == []


def test_a_field_that_a_newer_version_wrote_survives(backend):
    with backend.transaction(write=True) as session:
        session.put("stacks", "a", {"orchestrator": "default", "teleporter": "beam", "shared_with": ["ann"]})
        stacks = Collection(session, StackRecord)
        stacks.replace(StackRecord("b", stacks.get("a").components, stacks.get("a").unknown), key="a")

    assert read(backend) == {"b": {"orchestrator": "default", "teleporter": "beam", "shared_with": ["ann"]}}


# Several processes


def _register_rename_delete(kind: str, place: str, worker: int, rounds: int) -> None:
    registry = Registry(open_store(kind, place))
    for round_ in range(rounds):
        kept, gone = f"kept-{worker}-{round_}", f"gone-{worker}-{round_}"
        for name in (f"{kept}-old", gone):
            registry.register_component(component(name, path=f"/{name}"))
        registry.update_component(
            StackComponentType.ARTIFACT_STORE, f"{kept}-old", component(kept, path="/new")
        )
        registry.deregister_component(StackComponentType.ARTIFACT_STORE, gone)
        with suppress(StackComponentExistsError):
            registry.register_component(component("shared", worker=worker))


def _run(target: Callable, arguments: list[tuple]) -> None:
    processes = [spawned.Process(target=target, args=each) for each in arguments]
    for process in processes:
        process.start()
    for process in processes:
        process.join(100)
    assert [process.exitcode for process in processes] == [0] * len(processes)


def test_processes_that_register_rename_and_delete_at_once_lose_nothing(kept):
    kind, place = kept
    workers, rounds = 3, 8
    _run(_register_rename_delete, [(kind, place, worker, rounds) for worker in range(workers)])

    names = {c.name for c in Registry(open_store(kind, place)).components(StackComponentType.ARTIFACT_STORE)}
    assert names == {f"kept-{w}-{r}" for w in range(workers) for r in range(rounds)} | {"shared"}


WRITER = """
    import sys
    from tests.conformance.test_backends import open_store
    store = open_store(*sys.argv[1:])
    n = 0
    while True:
        n += 1
        with store.transaction(write=True) as session:
            for key in "abcdef":
                session.put("stacks", key, {"n": n, "filler": "x" * 2000})
        print(n, flush=True)
"""


def test_a_kill_in_the_middle_of_writing_leaves_a_whole_state(kept):
    kind, place = kept
    finished = 0
    for attempt in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WRITER), kind, place],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(3):
            finished = int(writer.stdout.readline())
        time.sleep(0.003 * attempt)
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
        finished = int(rest[-1]) if rest else finished
        writer.wait()
        writer.stdout.close()

        store = open_store(kind, place)
        numbers = {document["n"] for document in read(store).values()}
        assert len(numbers) == 1
        assert numbers.pop() in (finished, finished + 1)
        # Whoever comes next is not held up by the lock of the dead.
        with store.transaction(write=True) as session:
            session.put("stacks", "a", session.get("stacks", "a"))


def _write_first(kind: str, place: str, barrier) -> None:
    store = open_store(kind, place)
    barrier.wait(60)
    with store.transaction(write=True) as session:
        session.put("stacks", str(os.getpid()), {})


def test_processes_that_make_the_store_at_once_make_one(kept):
    kind, place = kept
    barrier = spawned.Barrier(4)
    _run(_write_first, [(kind, place, barrier)] * 4)

    assert len(read(open_store(kind, place))) == 4
    with pytest.raises(StackExistsError), open_store(kind, place).transaction(write=True) as session:
        Collection(session, StackRecord).add(StackRecord(next(iter(session.list("stacks"))), {}))
