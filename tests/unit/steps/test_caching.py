"""What a step declares that its results depend on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pydantic
import pytest

from zenml.engine.cache import fixed_parts
from zenml.exceptions import StepInterfaceError
from zenml.model.deployment import StackSpec, StepSpec
from zenml.pipelines import pipeline
from zenml.pipelines.compiler import compile_pipeline
from zenml.steps import BaseStep, Cache, step


def compiled(cache: Cache, root: Path) -> StepSpec:
    @step(cache=cache)
    def load() -> int:
        return 1

    @pipeline
    def loading() -> None:
        load()

    return compile_pipeline(
        loading(),
        stack=StackSpec("stack", {}),
        run_name="run",
        run_uuid=uuid4(),
        runtime_configuration={},
        enable_cache=True,
        source_root=str(root),
    ).deployment.steps[0]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "data" / "old").mkdir(parents=True)
    (root / "data" / "a.csv").write_text("1")
    (root / "data" / "b.csv").write_text("2")
    (root / "data" / "old" / "c.csv").write_text("3")
    return root


def test_each_file_is_a_part_by_its_path(data):
    assert list(compiled(Cache(files=("data/*.csv",)), data).cache_parts) == [
        "file data/a.csv",
        "file data/b.csv",
    ]
    assert list(compiled(Cache(files=("data", "data/a.csv")), data).cache_parts) == [
        "file data/a.csv",
        "file data/b.csv",
        "file data/old/c.csv",
    ]


def test_only_the_content_of_a_file_counts(data):
    cache = Cache(files=("data/a.csv",))
    before = compiled(cache, data).cache_parts
    (data / "data" / "a.csv").write_text("1")
    assert compiled(cache, data).cache_parts == before
    (data / "data" / "a.csv").write_text("2")
    assert compiled(cache, data).cache_parts != before


def test_a_file_outside_of_the_project_goes_by_its_whole_path(data, tmp_path):
    (tmp_path / "outside.txt").write_text("1")
    assert list(compiled(Cache(files=(f"{tmp_path}/outside.txt",)), data).cache_parts) == [
        f"file {tmp_path}/outside.txt"
    ]


def test_the_result_of_a_function_counts(data):
    days = ["2024-01-01"]

    def today():
        return days[0]

    cache = Cache(function=today)
    before = compiled(cache, data)
    assert compiled(cache, data).cache_parts == before.cache_parts
    days[0] = "2024-01-02"
    after = compiled(cache, data)
    assert after.cache_parts.keys() == before.cache_parts.keys()
    assert fixed_parts(after) != fixed_parts(before)


def test_versions_of_packages_are_parts_as_they_are(data):
    assert compiled(Cache(packages=("pydantic",)), data).cache_parts == {"package pydantic": pydantic.VERSION}


def test_a_class_says_it_by_an_attribute(data):
    class Load(BaseStep):
        CACHE = Cache(expires=timedelta(days=7))

        def entrypoint(self) -> int:
            return 1

    @pipeline
    def loading() -> None:
        Load()

    spec = compile_pipeline(
        loading(),
        stack=StackSpec("stack", {}),
        run_name="run",
        run_uuid=uuid4(),
        runtime_configuration={},
        enable_cache=True,
    ).deployment.steps[0]
    assert spec.expires_after == 7 * 86400
    assert spec.cache_parts == {}


def test_missing_files_are_refused_with_the_folder(data):
    with pytest.raises(StepInterfaceError) as caught:
        compiled(Cache(files=("data/*.parquet",)), data)
    assert str(caught.value) == (
        f"The step 'load' depends on the files 'data/*.parquet', but there are none in '{data}': make them, or mend the pattern "
        "of its `Cache`."
    )


def test_a_function_that_fails_is_named(data):
    def today():
        raise OSError("no clock")

    with pytest.raises(StepInterfaceError, match=r"today' of the step 'load' failed: OSError: no clock"):
        compiled(Cache(function=today), data)
    with pytest.raises(StepInterfaceError, match=r"' of the step 'load' gave \{1\}, expected JSON data"):
        compiled(Cache(function=lambda: {1}), data)


def test_a_package_that_is_missing_is_named(data):
    with pytest.raises(StepInterfaceError, match="'no-such-package', which is not installed here"):
        compiled(Cache(packages=("no-such-package",)), data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"files": "data.csv"}, "'files' of Cache is 'data.csv', expected a tuple of texts."),
        ({"packages": (1,)}, "'packages' of Cache is (1,), expected a tuple of texts."),
        ({"function": 3}, "'function' of Cache is 3, expected a function without arguments."),
        ({"expires": 7}, "'expires' of Cache is 7, expected a positive timedelta."),
        (
            {"expires": timedelta(0)},
            "'expires' of Cache is datetime.timedelta(0), expected a positive timedelta.",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, message):
    with pytest.raises(StepInterfaceError) as caught:
        Cache(**arguments)
    assert str(caught.value) == message


def test_a_switch_is_no_cache():
    with pytest.raises(StepInterfaceError, match="`cache` of the step 'load' is True, expected a Cache"):

        @step(cache=True)
        def load() -> int:
            return 1
