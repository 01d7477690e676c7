"""What every artifact store does, whatever its files lie on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from zenml.exceptions import ArtifactStoreInterfaceError
from zenml.testing.conformance.suite import Suite, assert_healthy, needs, thorough, undefined

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore

NAMES = [
    "plain",
    "with blank",
    " leading and trailing ",
    "ünïcödé-文件-🎉",
    "a.b.c",
    "..hidden..",
    "per%20cent%",
    "star*",
    "[a-z]",
    "{x,y}",
    "hash#tag",
    "quote'\"`",
    "~",
    "$HOME",
    "&;|<>!",
    "x" * 200,
]

ODD_NAMES = ["what?", "back\\slash", "new\nline"]

OUTSIDE = [
    "{root}/../neighbour",
    "{root}/a/../../neighbour",
    "{root}/..",
    "{root}-neighbour/file",
    "/etc/passwd",
    "s3://bucket/key",
    "relative",
    "",
]


class ArtifactStoreConformance(Suite):
    """The duties of `BaseArtifactStore`. `store` is one that nothing else writes into; its root need not exist.

    A flavor may leave out "odd names" (with a question mark, a backslash, a line break), and "forget folders" (that a folder without
    files is gone at once).
    """

    @pytest.fixture
    def store(self) -> BaseArtifactStore:
        """The store under test."""
        undefined(self, "store", "an artifact store")

    @pytest.fixture(autouse=True)
    def _begin_empty(self, store: BaseArtifactStore) -> Iterator[None]:
        store.makedirs(store.path)
        yield
        if store.exists(store.path):
            store.rmtree(store.path)

    def test_a_check_passes_and_leaves_nothing(self, store: BaseArtifactStore) -> None:
        write(store, "file")
        before = store.sizes(store.path)
        assert_healthy(store)
        assert store.sizes(store.path) == before

    @pytest.mark.parametrize("name", NAMES)
    def test_a_file_of_any_name_lives_its_whole_life(self, store: BaseArtifactStore, name: str) -> None:
        path = write(store, f"folder/{name}", b"one")

        assert store.exists(path)
        assert not store.isdir(path)
        assert store.listdir(f"{store.path}/folder") == [name]
        assert store.size(path) == 3
        assert list(store.walk(f"{store.path}/folder")) == [(f"{store.path}/folder", [], [name])]
        assert store.sizes(store.path) == {f"folder/{name}": 3}

        store.copyfile(path, f"{path}2")
        store.rename(f"{path}2", f"{path}3")
        assert read(store, f"{path}3") == b"one"
        assert not store.exists(f"{path}2")

        store.remove(path)
        assert not store.exists(path)
        assert store.listdir(f"{store.path}/folder") == [f"{name}3"]

    @pytest.mark.parametrize("name", NAMES)
    def test_a_folder_of_any_name_goes_with_all_that_it_holds_and_nothing_else(
        self, store: BaseArtifactStore, name: str
    ) -> None:
        inside = write(store, f"{name}/deep/er/file")
        beside = write(store, "zbeside/file")

        assert store.isdir(f"{store.path}/{name}")
        store.rmtree(f"{store.path}/{name}")

        assert not store.exists(inside)
        assert store.sizes(f"{store.path}/{name}") == {}
        assert store.exists(beside)

    @needs("odd names")
    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_a_file_and_a_folder_may_have_an_odd_name(self, store: BaseArtifactStore, name: str) -> None:
        self.test_a_file_of_any_name_lives_its_whole_life(store, name)
        store.rmtree(f"{store.path}/folder")
        self.test_a_folder_of_any_name_goes_with_all_that_it_holds_and_nothing_else(store, name)

    @needs("forget folders")
    def test_a_folder_that_was_removed_is_gone(self, store: BaseArtifactStore) -> None:
        write(store, "folder/deep/er/file")

        store.rmtree(f"{store.path}/folder")

        assert not store.isdir(f"{store.path}/folder")
        assert not store.exists(f"{store.path}/folder")

    def test_a_pattern_takes_no_more_than_it_matches_when_a_folder_is_removed(
        self, store: BaseArtifactStore
    ) -> None:
        write(store, "run[1]/file")
        kept = write(store, "run1/file")

        store.rmtree(f"{store.path}/run[1]")

        assert store.exists(kept)

    def test_text_is_utf8(self, store: BaseArtifactStore) -> None:
        path = write(store, "text", "grüße\n文\n")

        assert read(store, path) == "grüße\n文\n".encode()
        with store.open(path) as stream:
            assert stream.read() == "grüße\n文\n"

    def test_writing_again_replaces_the_whole_content(self, store: BaseArtifactStore) -> None:
        write(store, "file", b"a long content")
        path = write(store, "file", b"short")

        assert read(store, path) == b"short"
        assert store.size(path) == 5

    def test_an_empty_file_is_a_file(self, store: BaseArtifactStore) -> None:
        path = write(store, "file", b"")

        assert store.exists(path)
        assert read(store, path) == b""

    def test_a_big_file_comes_back_as_it_was(self, store: BaseArtifactStore) -> None:
        block = bytes(range(256)) * 4096
        path = f"{store.path}/big"
        with store.open(path, "wb") as stream:
            for _ in range(33):
                stream.write(block)

        assert store.size(path) == 33 * len(block)
        with store.open(path, "rb") as stream:
            for _ in range(33):
                assert stream.read(len(block)) == block
            assert stream.read(1) == b""
            stream.seek(5)
            assert stream.read(3) == b"\x05\x06\x07"

    @pytest.mark.parametrize(
        "operation",
        [
            lambda store, path: store.open(path),
            lambda store, path: store.open(path, "rb"),
            lambda store, path: store.copyfile(path, f"{path}2"),
            lambda store, path: store.listdir(path),
            lambda store, path: store.remove(path),
            lambda store, path: store.rename(path, f"{path}2"),
            lambda store, path: store.rmtree(path),
            lambda store, path: store.stat(path),
            lambda store, path: store.size(path),
        ],
        ids=["open", "open-binary", "copyfile", "listdir", "remove", "rename", "rmtree", "stat", "size"],
    )
    def test_what_is_missing_is_named(
        self, store: BaseArtifactStore, operation: Callable[[BaseArtifactStore, str], Any]
    ) -> None:
        with pytest.raises(FileNotFoundError, match="nothing-here"):
            operation(store, f"{store.path}/nothing-here")

    def test_questions_about_what_is_missing_have_answers(self, store: BaseArtifactStore) -> None:
        missing = f"{store.path}/missing"

        assert not store.exists(missing)
        assert not store.isdir(missing)
        assert store.glob(f"{missing}/*") == []
        assert store.sizes(missing) == {}
        assert list(store.walk(missing)) == []

    @pytest.mark.parametrize("verb", ["copyfile", "rename"])
    def test_an_existing_file_is_replaced_only_on_demand(self, store: BaseArtifactStore, verb: str) -> None:
        first, second = write(store, "first", b"first"), write(store, "second", b"second")

        with pytest.raises(FileExistsError, match="second"):
            getattr(store, verb)(first, second)
        assert read(store, second) == b"second"

        getattr(store, verb)(first, second, overwrite=True)
        assert read(store, second) == b"first"

    def test_folders(self, store: BaseArtifactStore) -> None:
        store.makedirs(f"{store.path}/a/b")
        store.makedirs(f"{store.path}/a/b")
        write(store, "a/b/c/file")
        write(store, "a/file")

        assert store.isdir(f"{store.path}/a/b/c")
        assert store.listdir(f"{store.path}/a") == ["b", "file"]
        with pytest.raises(FileExistsError, match="a/b"):
            store.mkdir(f"{store.path}/a/b")
        with pytest.raises(NotADirectoryError):
            store.listdir(f"{store.path}/a/file")
        with pytest.raises(IsADirectoryError):
            store.open(f"{store.path}/a/b", "rb")
        store.mkdir(f"{store.path}/a/new")
        write(store, "a/new/file")
        assert store.glob(f"{store.path}/a/*/file") == [f"{store.path}/a/new/file"]
        assert store.glob(f"{store.path}/a/**/file") == sorted(
            f"{store.path}/a/{name}" for name in ("b/c/file", "file", "new/file")
        )

    def test_walking_down_and_up(self, store: BaseArtifactStore) -> None:
        write(store, "top/one/x")
        write(store, "top/two/y")
        write(store, "top/z")
        top = f"{store.path}/top"

        down = [(folder, sorted(folders), files) for folder, folders, files in store.walk(top)]
        up = [folder for folder, _, _ in store.walk(top, topdown=False)]

        assert down[0] == (top, ["one", "two"], ["z"])
        assert sorted(down[1:]) == [(f"{top}/one", [], ["x"]), (f"{top}/two", [], ["y"])]
        assert up[-1] == top
        assert sorted(up) == sorted(folder for folder, _, _ in down)

    @pytest.mark.parametrize(
        "operation",
        [
            lambda store, path: store.open(path, "w"),
            lambda store, path: store.open(path, "rb"),
            lambda store, path: store.copyfile(f"{store.path}/file", path),
            lambda store, path: store.copyfile(path, f"{store.path}/file2"),
            lambda store, path: store.exists(path),
            lambda store, path: store.glob(f"{path}/*"),
            lambda store, path: store.isdir(path),
            lambda store, path: store.listdir(path),
            lambda store, path: store.makedirs(path),
            lambda store, path: store.mkdir(path),
            lambda store, path: store.remove(path),
            lambda store, path: store.rename(f"{store.path}/file", path),
            lambda store, path: store.rename(path, f"{store.path}/file2"),
            lambda store, path: store.rmtree(path),
            lambda store, path: store.stat(path),
            lambda store, path: list(store.walk(path)),
        ],
    )
    def test_no_operation_leaves_the_store(
        self, store: BaseArtifactStore, operation: Callable[[BaseArtifactStore, str], Any]
    ) -> None:
        write(store, "file")

        for where in OUTSIDE:
            with pytest.raises(
                ArtifactStoreInterfaceError, match="lies outside of the artifact store 'store'"
            ):
                operation(store, where.format(root=store.path))

        assert read(store, f"{store.path}/file") == b"content"

    def test_a_store_survives_its_record(self, store: BaseArtifactStore) -> None:
        again = type(store).from_record(store.to_record())

        assert again == store
        assert again.path == store.path

    def test_any_sequence_of_operations_agrees_with_a_dictionary(self, store: BaseArtifactStore) -> None:
        class OfStore(_Files):
            def __init__(self) -> None:
                super().__init__(store)

        run_state_machine_as_test(OfStore, settings=thorough(15, stateful_step_count=20))


def write(store: BaseArtifactStore, name: str, content: bytes | str = b"content") -> str:
    """Write a file and the folders above it; gives its path."""
    path = f"{store.path}/{name}"
    store.makedirs(path.rpartition("/")[0])
    with store.open(path, "wb" if isinstance(content, bytes) else "w") as stream:
        stream.write(content)
    return path


def read(store: BaseArtifactStore, path: str) -> bytes:
    """The content of a file."""
    with store.open(path, "rb") as stream:
        content: bytes = stream.read()
    return content


_NAMES = st.sampled_from(["a", "b", "c[x]", "d/e", "d/f", "g/h/i"])


class _Files(RuleBasedStateMachine):
    """Any operations, in any order, in a folder of their own; a dictionary says what must be there."""

    def __init__(self, store: BaseArtifactStore) -> None:
        super().__init__()
        self.store = store
        self.folder = f"examples/{uuid4()}"
        self.model: dict[str, bytes] = {}
        store.makedirs(f"{store.path}/{self.folder}")

    def path(self, name: str) -> str:
        return f"{self.store.path}/{self.folder}/{name}"

    @rule(name=_NAMES, content=st.binary(max_size=20))
    def write(self, name: str, content: bytes) -> None:
        write(self.store, f"{self.folder}/{name}", content)
        self.model[name] = content

    @rule(name=_NAMES)
    def remove(self, name: str) -> None:
        if name in self.model:
            self.store.remove(self.path(name))
            del self.model[name]
        else:
            with pytest.raises(FileNotFoundError):
                self.store.remove(self.path(name))

    @rule(origin=_NAMES, goal=_NAMES, overwrite=st.booleans(), verb=st.sampled_from(["copyfile", "rename"]))
    def move(self, origin: str, goal: str, *, overwrite: bool, verb: str) -> None:
        self.store.makedirs(self.path(goal).rpartition("/")[0])
        operation = getattr(self.store, verb)
        if origin not in self.model:
            with pytest.raises(FileNotFoundError):
                operation(self.path(origin), self.path(goal), overwrite)
        elif goal in self.model and not overwrite:
            with pytest.raises(FileExistsError):
                operation(self.path(origin), self.path(goal), overwrite)
        else:
            operation(self.path(origin), self.path(goal), overwrite)
            self.model[goal] = self.model[origin]
            if verb == "rename" and origin != goal:
                del self.model[origin]

    @rule(folder=st.sampled_from(["d", "g", "g/h"]))
    def rmtree(self, folder: str) -> None:
        if self.store.isdir(self.path(folder)):
            self.store.rmtree(self.path(folder))
        self.model = {k: v for k, v in self.model.items() if not k.startswith(f"{folder}/")}

    @invariant()
    def agrees(self) -> None:
        assert self.store.sizes(self.path("").rstrip("/")) == {
            name: len(content) for name, content in self.model.items()
        }
        for name, content in self.model.items():
            assert read(self.store, self.path(name)) == content
