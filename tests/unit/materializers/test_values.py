"""Values on their way into an artifact store and back."""

import dataclasses
import enum
import functools
import importlib
import io
import itertools
import subprocess
import sys
import warnings
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, SecretStr

from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.artifacts import BaseArtifact, DataArtifact, ModelArtifact, StatisticsArtifact
from zenml.exceptions import (
    ArtifactCorruptedError,
    ArtifactError,
    ArtifactInterfaceError,
    MaterializerInterfaceError,
    PickleWarning,
)
from zenml.io import fileio
from zenml.materializers import BaseMaterializer, BuiltInMaterializer, NumpyMaterializer, PandasMaterializer
from zenml.materializers.base_materializer import defined
from zenml.materializers.classes import class_at, import_path
from zenml.materializers.registry import find_materializer
from zenml.materializers.values import artifact_of, check_present, read_value, write_value


class MemoryArtifactStore(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "memory"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"memory://"}


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BaseArtifactStore:
    if request.param == "local":
        return LocalArtifactStore(name="store", path=tmp_path / "store")
    return MemoryArtifactStore(name="store", path=f"memory://{uuid4()}/root")


@pytest.fixture(autouse=True)
def forget_definitions():
    before = dict(defined.materializers)
    yield
    defined.materializers.clear()
    defined.materializers.update(before)
    for listener in defined.listeners:
        listener()


def write(store, value, **options):
    return write_value("output", value, f"{store.path}/runs/1/step/{next(attempts)}/output", store, **options)


attempts = itertools.count(1)


class Animal:
    def __init__(self, name):
        self.name = name

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None


class Dog(Animal):
    pass


class Puppy(Dog):
    pass


def text_materializer(*types, path="animal.txt", prefix=""):
    class TextMaterializer(BaseMaterializer):
        ASSOCIATED_TYPES = types
        ASSOCIATED_ARTIFACT_TYPES = (ModelArtifact, DataArtifact)

        def handle_input(self, data_type):
            super().handle_input(data_type)
            with fileio.open(f"{self.artifact.uri}/{path}") as file:
                return data_type(file.read())

        def handle_return(self, data):
            super().handle_return(data)
            with fileio.open(f"{self.artifact.uri}/{path}", "w") as file:
                file.write(prefix + getattr(data, "name", str(data)))

    return TextMaterializer


# Records


def test_a_record_tells_all_that_reading_needs(store):
    record = write(store, 7)

    assert record.name == "output"
    assert record.uri.startswith(f"{store.path}/runs/1/step/")
    assert record.store == store.path
    assert record.artifact_type == "zenml.artifacts.artifact.DataArtifact"
    assert record.data_type == "builtins.int"
    assert record.materializer == "zenml.materializers.built_in_materializer.BuiltInMaterializer"
    assert [(entry.path, entry.size) for entry in record.manifest] == [("data.json", 1)]
    assert record.size == 1
    assert (record.id, record.producer) == (0, 0)


def test_the_digest_is_that_of_the_content(store):
    assert write(store, {"a": 1}).digest == write(store, {"a": 1}).digest != write(store, {"a": 2}).digest


def test_the_order_of_a_mapping_counts_and_that_of_a_set_does_not(store):
    assert write(store, {"a": 1, "b": 2}).digest != write(store, {"b": 2, "a": 1}).digest
    assert write(store, {"a", "b", "c"}).digest == write(store, {"c", "b", "a"}).digest


def test_a_large_array_is_read_from_where_it_lies(store):
    array = np.arange(300_000)
    record = write(store, array)

    np.testing.assert_array_equal(read_value(record, store), array)
    assert record.manifest[0].size == array.nbytes + 128


def test_the_raw_artifact_is_for_steps_that_ask_for_it(store):
    artifact = artifact_of(dataclasses.replace(write(store, 7), id=5))

    assert type(artifact) is DataArtifact
    assert (artifact.uri.rpartition("/")[2], artifact.id) == ("output", 5)
    assert artifact.datatype == "builtins.int"
    with store.open(f"{artifact.uri}/data.json") as file:
        assert file.read() == "7"


# Which materializer


def test_a_defined_materializer_is_chosen_for_its_type_and_those_below(store):
    materializer = text_materializer(Animal)

    record = write(store, Dog("rex"))

    assert find_materializer(Dog) is materializer
    assert record.artifact_type == "zenml.artifacts.artifact.ModelArtifact"
    assert read_value(record, store, Dog, materializer) == Dog("rex")


def test_the_nearest_ancestor_wins_whichever_was_defined_first():
    near, far = text_materializer(Dog), text_materializer(Animal)

    assert find_materializer(Puppy) is near
    assert find_materializer(Animal) is far
    assert find_materializer(Dog) is near


def test_a_definition_counts_though_the_type_was_looked_up_before():
    with_pickle = find_materializer(Animal)
    materializer = text_materializer(Animal)

    assert with_pickle is not materializer
    assert find_materializer(Animal) is materializer


def test_a_materializer_for_a_built_in_type_displaces_none_and_can_be_chosen(store):
    mine = text_materializer(int, np.ndarray, path="number.txt")

    assert find_materializer(int) is BuiltInMaterializer
    assert find_materializer(np.ndarray) is NumpyMaterializer
    assert find_materializer(pd.DataFrame) is PandasMaterializer
    assert [entry.path for entry in write(store, 7).manifest] == ["data.json"]
    record = write(store, 7, materializers=(mine,))
    assert [entry.path for entry in record.manifest] == ["number.txt"]
    assert read_value(record, store, int, mine) == 7


def test_of_several_chosen_ones_the_first_that_handles_the_value_is_taken(store):
    for_int, for_text = text_materializer(int), text_materializer(str, path="text.txt")

    assert write(store, "x", materializers=(for_int, for_text)).manifest[0].path == "text.txt"
    with pytest.raises(
        MaterializerInterfaceError, match=r"'output' is a float, which none .*: TextMaterializer, TextMat"
    ):
        write(store, 0.5, materializers=(for_int, for_text))


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_a_materializer_may_be_chosen_by_its_import_path(store):
    record = write(
        store, 7, materializers=("zenml.materializers.cloudpickle_materializer.CloudpickleMaterializer",)
    )

    assert [entry.path for entry in record.manifest] == ["data.cloudpickle"]


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_the_declared_type_helps_where_the_own_one_is_unknown(store):
    class Duck:
        def __init__(self, name):
            self.name = name

    materializer = text_materializer(Animal, Duck)
    defined.materializers.pop(Duck)
    defined.listeners[0]()

    assert write(store, Duck("donald")).manifest[0].path == "data.cloudpickle"
    assert write(store, Duck("donald"), annotation=Animal).manifest[0].path == "animal.txt"
    assert write(store, 7, annotation=Animal).manifest[0].path == "data.json"
    assert find_materializer(Animal) is materializer


def test_an_artifact_type_may_be_chosen(store):
    for chosen in (StatisticsArtifact, "zenml.artifacts.artifact.StatisticsArtifact"):
        assert artifact_of(write(store, 7, artifact_type=chosen)).TYPE_NAME == "StatisticsArtifact"
    with pytest.raises(ArtifactInterfaceError, match="no artifact class: expected one of zenml.artifacts"):
        write(store, 7, artifact_type=int)


@pytest.mark.parametrize("types", [(), ("int",), (list[int],), (int | str,)])
def test_a_materializer_without_classes_is_refused_when_it_is_defined(types):
    with pytest.raises(MaterializerInterfaceError, match=r"must name the classes that it handles"):
        text_materializer(*types)


def test_a_materializer_of_other_artifact_types_is_refused_when_it_is_defined():
    with pytest.raises(MaterializerInterfaceError, match="must be classes of zenml.artifacts"):

        class Wrong(BaseMaterializer):
            ASSOCIATED_TYPES = (int,)
            ASSOCIATED_ARTIFACT_TYPES = (int,)


# Pickles


def test_what_nothing_is_known_for_is_pickled_with_a_warning(store):
    with pytest.warns(
        PickleWarning, match=r"test_values.Animal is stored as a pickle.*Define a materializer"
    ):
        record = write(store, Animal("cat"))

    assert [entry.path for entry in record.manifest] == ["data.cloudpickle"]
    assert read_value(record, store, Animal) == Animal("cat")


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_classes_that_cannot_be_imported_travel_with_their_values(store):
    @dataclasses.dataclass
    class Local:
        x: int

    class Word(enum.Enum):
        YES = 1

    class Model(BaseModel):
        x: int

    class Whole(int):
        pass

    for value in (Local(1), Word.YES, Model(x=1), Whole(5), [Local(1), {Word.YES: Whole(3)}]):
        again = read_value(write(store, value), store)
        assert again == value
        assert type(again) is type(value)


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_subclasses_that_hold_more_than_their_bases_lose_nothing(store):
    class Frame(pd.DataFrame):
        _metadata: ClassVar[list[str]] = ["extra"]

    array = np.arange(3).view(type("Tagged", (np.ndarray,), {}))
    assert type(read_value(write(store, array), store)).__name__ == "Tagged"
    assert type(read_value(write(store, Frame({"a": [1]})), store)).__name__ == "Frame"


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_a_default_that_a_function_makes_is_kept(store):
    value = defaultdict(functools.partial(int, 5), a=1)

    again = read_value(write(store, [value]), store)[0]

    assert again == value
    assert again["b"] == 5


@pytest.mark.filterwarnings("ignore::zenml.exceptions.PickleWarning")
def test_what_cannot_be_pickled_says_so(store):
    with pytest.raises(
        MaterializerInterfaceError, match=r"TextIOWrapper cannot be stored: it cannot be pickled"
    ):
        write(store, io.TextIOWrapper(io.BytesIO()))


def test_a_secret_is_not_stored(store):
    for value in (SecretStr("hunter2"), {"a": SecretStr("hunter2")}):
        with pytest.raises(
            MaterializerInterfaceError, match="SecretStr is not stored: artifacts are kept in clear"
        ) as caught:
            write(store, value)
        assert "hunter2" not in str(caught.value)


def test_a_value_that_contains_itself_says_so(store):
    value: list[Any] = []
    value.append({"again": value})

    with pytest.raises(MaterializerInterfaceError, match="list that contains itself cannot be stored"):
        write(store, value)


def test_a_value_that_is_nested_too_deeply_says_so(store):
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]

    with pytest.raises(MaterializerInterfaceError, match="nested too deeply"):
        write(store, value)
    while value:
        value = value.pop()


# Materializers that fail


def test_a_failing_materializer_leaves_nothing_and_its_own_error(store):
    class Failing(BaseMaterializer):
        ASSOCIATED_TYPES = (Animal,)

        def handle_return(self, data):
            with fileio.open(f"{self.artifact.uri}/first", "w") as file:
                file.write("half")
            fileio.makedirs(f"{self.artifact.uri}/folder")
            raise ZeroDivisionError("on the way")

    with pytest.raises(ZeroDivisionError, match="on the way"):
        write(store, Animal("cat"))
    assert store.sizes(store.path) == {}


def test_a_materializer_that_writes_nothing_is_told(store):
    class Nothing(BaseMaterializer):
        ASSOCIATED_TYPES = (Animal,)

    with pytest.raises(
        MaterializerInterfaceError, match=r"Nothing wrote no file for the output 'output'.*artifact.uri"
    ):
        write(store, Animal("cat"))


def test_every_way_of_writing_gives_the_right_manifest(tmp_path):
    store = LocalArtifactStore(name="store", path=tmp_path / "store")

    class Ways(BaseMaterializer):
        ASSOCIATED_TYPES = (Animal,)

        def handle_return(self, data):
            uri = self.artifact.uri
            with fileio.open(f"{uri}/text", "w") as file:
                print("ünï", data.name, file=file)
            with fileio.open(f"{uri}/seeking", "wb") as file:
                file.write(b"....end")
                file.seek(0)
                file.write(b"head")
            with fileio.open(f"{uri}/appended", "wb") as file:
                file.write(b"one")
            with fileio.open(f"{uri}/appended", "ab") as file:
                file.write(b"two")
            with fileio.open(f"{uri}/twice", "w") as file:
                file.write("long before")
            with fileio.open(f"{uri}/twice", "w") as file:
                file.write("after")
            with fileio.open(f"{uri}/moved", "w") as file:
                file.write("moved")
            fileio.mkdir(f"{uri}/folder")
            fileio.rename(f"{uri}/moved", f"{uri}/folder/there")
            fileio.copy(f"{uri}/text", f"{uri}/folder/copy")
            Path(uri, "directly").write_bytes(b"x" * 10)
            with fileio.open(f"{uri}/behind", "wb") as file:
                file.write(b"short")
            Path(uri, "behind").write_bytes(b"longer than before")
            fileio.open(f"{uri}/never-closed", "wb").write(b"content")
            fileio.open(f"{uri}/never-closed-text", "w").write("content")
            with fileio.open(f"{uri}/truncated", "wb") as file:
                file.write(b"12345")
                file.flush()
                file.truncate(2)
            np.save(f"{uri}/array.npy", np.arange(3))
            with fileio.open(f"{uri}/array2.npy", "wb") as file:
                np.save(file, np.arange(3))

        def handle_input(self, data_type):
            return sorted(fileio.listdir(self.artifact.uri))

    record = write(store, Animal("cat"))

    assert {entry.path: entry.size for entry in record.manifest} == store.sizes(record.uri)
    assert not any("tmp" in entry.path for entry in record.manifest)
    assert [entry.path for entry in record.manifest] == sorted(entry.path for entry in record.manifest)
    assert "array.npy" in read_value(record, store, materializer_class=Ways)


# Reading


def test_the_expected_type_must_fit(store):
    record = write(store, 7)

    for expected in (int, float, complex, object, None, Any, int | None, list[int], "int", Sequence[int]):
        assert read_value(record, store, expected) == 7
    with pytest.raises(TypeError, match=r"'output' holds a int, but a str is expected. It lies at"):
        read_value(record, store, str)
    with pytest.raises(TypeError, match="list"):
        read_value(record, store, list)
    with pytest.raises(TypeError, match=r"DataFrame"):
        read_value(record, store, pd.DataFrame)


def test_a_wider_class_may_be_expected(store):
    class Sized(Protocol):
        def __len__(self) -> int: ...

    assert read_value(write(store, [1]), store, Sequence) == [1]
    assert read_value(write(store, [1]), store, Sized) == [1]
    assert read_value(write(store, True), store, int) is True
    assert isinstance(read_value(write(store, np.float64(1)), store, float), np.float64)


def test_a_materializer_may_read_as_another_type_that_it_handles(store):
    materializer = text_materializer(Animal, str)

    record = write(store, Animal("cat"), materializers=(materializer,))

    assert read_value(record, store, str, materializer) == "cat"
    assert read_value(record, store, Dog, materializer) == Dog("cat")


def test_a_class_that_is_gone_is_named(store):
    record = dataclasses.replace(write(store, 7), materializer="no.such.Materializer")

    with pytest.raises(
        ArtifactError,
        match=r"'output' cannot be read: its materializer 'no.such.Materializer' cannot be imported",
    ):
        read_value(record, store)
    assert "'no.such.Materializer' of the artifact 'output' cannot be imported" in (
        check_present(record, store) or ""
    )

    record = dataclasses.replace(write(store, [7]), data_type="zenml.artifacts.Gone")
    with pytest.raises(
        ArtifactError, match=r"type 'zenml.artifacts.Gone' cannot be imported: there is no 'Gone' in"
    ):
        read_value(record, store)


def test_a_pickle_is_never_loaded_before_it_is_verified(store):
    ran = []

    class Trap:
        def __reduce__(self):
            return ran.append, (1,)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        good = write(store, Animal("cat"))
        trap = write_value("trap", Trap(), f"{store.path}/trap", store)
    store.copyfile(f"{trap.uri}/data.cloudpickle", f"{good.uri}/data.cloudpickle", overwrite=True)

    with pytest.raises(ArtifactCorruptedError):
        read_value(good, store)
    assert ran == []


def test_a_value_elsewhere_is_fetched_once(monkeypatch):
    store = MemoryArtifactStore(name="store", path=f"memory://{uuid4()}")
    record = write(store, np.arange(100_000))
    opened = []
    open_ = MemoryArtifactStore.open
    monkeypatch.setattr(MemoryArtifactStore, "open", lambda self, *a: opened.append(a) or open_(self, *a))

    assert len(read_value(record, store)) == 100_000
    assert opened == [(f"{record.uri}/data.npy", "rb")]


def test_a_file_that_can_only_be_read_is_enough(monkeypatch):
    class Plain:
        def __init__(self, file):
            self.file = file

        def read(self, size=-1):
            return self.file.read(size)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

    store = MemoryArtifactStore(name="store", path=f"memory://{uuid4()}")
    record = write(store, np.arange(100_000))
    open_ = MemoryArtifactStore.open
    monkeypatch.setattr(MemoryArtifactStore, "open", lambda self, *a: Plain(open_(self, *a)))

    assert len(read_value(record, store)) == 100_000


def test_a_class_that_is_defined_again_is_the_new_one(tmp_path, monkeypatch):
    store = LocalArtifactStore(name="store", path=tmp_path / "store")
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "shapes.py"
    module.write_text("from dataclasses import dataclass\n@dataclass\nclass Shape:\n    sides: int\n")
    import shapes

    record = write(store, shapes.Shape(3))
    module.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Shape:\n    sides: int\n    name: str = 'none'\n"
    )
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    importlib.reload(shapes)

    again = read_value(record, store, shapes.Shape)

    assert again == shapes.Shape(3, "none")
    assert write(store, again).manifest[0].path == "data.json"
    module.write_text(
        "from dataclasses import dataclass\n@dataclass\nclass Shape:\n    corners: int = 0\n\n\n"
    )
    importlib.reload(shapes)
    with pytest.raises(
        TypeError, match=r"Shape was stored with the fields \['sides'\], which it does not have any more"
    ):
        read_value(record, store)


def test_a_store_that_is_moved_finds_nothing(store, tmp_path):
    record = write(store, 7)
    other = LocalArtifactStore(name="other", path=tmp_path / "other")

    with pytest.raises(Exception, match="outside of the artifact store 'other'"):
        read_value(record, other)


# Names


def test_the_main_module_goes_by_the_name_of_its_file(tmp_path):
    script = tmp_path / "my_script.py"
    script.write_text(
        "from dataclasses import dataclass\n"
        "from zenml.artifact_stores import LocalArtifactStore\n"
        "from zenml.materializers.values import read_value, write_value\n"
        "@dataclass\n"
        "class Mine:\n"
        "    x: int\n"
        "if __name__ == '__main__':\n"
        f"    store = LocalArtifactStore(name='s', path={str(tmp_path)!r})\n"
        "    record = write_value('o', Mine(1), f'{store.path}/o', store)\n"
        "    assert type(read_value(record, store, Mine)) is Mine\n"
        "    print(record.data_type, record.manifest[0].path)\n"
    )

    shown = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)

    assert shown.stdout.split() == ["my_script.Mine", "data.json"]


def test_import_paths():
    assert import_path(type(None)) == "types.NoneType"
    assert class_at(import_path(type(None))) is type(None)
    assert class_at("zenml.artifacts.DataArtifact") is DataArtifact
    assert issubclass(class_at("zenml.artifacts.artifact.BaseArtifact"), BaseArtifact)
    with pytest.raises(ImportError, match="inside a function"):
        class_at("a.<locals>.B")
    with pytest.raises(ImportError, match="no module for 'no_such_package.X'"):
        class_at("no_such_package.X")


def test_writing_a_number_loads_no_library_of_another_type(tmp_path):
    code = (
        "import sys; from zenml.artifact_stores import LocalArtifactStore; "
        "from zenml.materializers.values import *; "
        f"s = LocalArtifactStore(name='s', path={str(tmp_path)!r}); "
        "print(read_value(write_value('o', [1, {'a': {2}}], s.path + '/o', s), s)); "
        "print(sorted({'numpy', 'pandas', 'torch', 'sklearn', 'polars', 'pyarrow', 'fsspec', 'cloudpickle'} & set(sys.modules)))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert shown.splitlines() == ["[1, {'a': {2}}]", "[]"]


def test_the_package_exports_what_users_name():
    import zenml.materializers

    for name in zenml.materializers.__all__:
        assert issubclass(getattr(zenml.materializers, name), BaseMaterializer)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = zenml.materializers.Nothing
