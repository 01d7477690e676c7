"""What every materializer does: the same value, of the same type, from files that nobody can change unnoticed."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conformance.values import VALUES, Colour, Number, Pair, Point
from zenml.artifact_stores import LocalArtifactStore
from zenml.exceptions import ArtifactCorruptedError, ArtifactGoneError
from zenml.materializers.classes import class_at
from zenml.materializers.values import check_present, read_value, write_value

ROOT = Path(__file__).parents[2]

# Whether two of them are written alike is up to pickle, and to the numbers that modules begin with.
UNSTEADY = {"figure", "loader", "module", "module-evaluating"}


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="store", path=tmp_path / "store")


@pytest.fixture(params=VALUES, ids=str)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def written(name, store, output="output"):
    torch.manual_seed(0)
    return write_value(output, VALUES[name][0](), f"{store.path}/runs/1/{output}", store)


def test_a_value_comes_back_as_it_was(store, name):
    make, same = VALUES[name]
    torch.manual_seed(0)
    value = make()
    record = write_value("output", value, f"{store.path}/runs/1/output", store)

    again = read_value(record, store)

    assert type(again) is type(value)
    assert same(again, value)
    assert same(read_value(record, store, type(value)), value)
    assert check_present(record, store) is None
    assert record.size == sum(entry.size for entry in record.manifest)


def test_a_value_inside_of_a_container_comes_back_as_it_was(store, name):
    make, same = VALUES[name]
    torch.manual_seed(0)
    value = make()

    again = read_value(write_value("output", [value, (value,)], f"{store.path}/o", store), store)

    assert type(again[0]) is type(again[1][0]) is type(value)
    assert same(again[0], value)
    assert same(again[1][0], value)


def test_every_changed_bit_is_found(store, name):
    record = written(name, store)

    for entry in record.manifest:
        path = Path(record.uri, entry.path)
        content = path.read_bytes()
        for position in {0, len(content) // 2, len(content) - 1} if content else ():
            path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
            with pytest.raises(
                ArtifactCorruptedError, match=rf"'output' is corrupted.*{entry.sha256}"
            ) as caught:
                read_value(record, store)
            assert repr(entry.path) in str(caught.value)
        path.write_bytes(content)

    read_value(record, store)


def test_every_missing_or_shortened_file_is_named(store, name):
    record = written(name, store)

    for entry in record.manifest:
        path = Path(record.uri, entry.path)
        content = path.read_bytes()
        path.write_bytes(content + b"x")
        with pytest.raises(ArtifactCorruptedError, match=f"{entry.size} bytes were written, more are there"):
            read_value(record, store)
        if content:
            path.write_bytes(content[:-1])
            with pytest.raises(
                ArtifactCorruptedError, match=f"{entry.size} bytes were written, {entry.size - 1} are there"
            ):
                read_value(record, store)
            assert f"has {entry.size - 1} bytes instead of {entry.size}" in (
                check_present(record, store) or ""
            )
        path.unlink()
        with pytest.raises(ArtifactGoneError, match="'output' is gone") as caught:
            read_value(record, store)
        assert repr(entry.path) in str(caught.value)
        assert f"'output' is gone: its file {entry.path!r} is missing" in (check_present(record, store) or "")
        path.write_bytes(content)


def test_a_pickle_is_named_as_such(store, name):
    record = written(name, store)

    pickles = [
        entry.path
        for entry in record.manifest
        if b"\x80\x05\x95" in Path(record.uri, entry.path).read_bytes()[:8]
    ]

    assert all("pickle" in path for path in pickles)
    assert class_at(record.materializer).PICKLES or not pickles


def test_equal_values_give_equal_bytes(store, name):
    if name in UNSTEADY:
        return
    first, second = written(name, store), written(name, store, "second")

    assert first.manifest == second.manifest
    assert first.digest == second.digest


@pytest.mark.timeout(300)
def test_equal_values_give_equal_bytes_in_every_process(store):
    here = {name: written(name, store, name).digest for name in VALUES if name not in UNSTEADY}

    for seed in ("1", "4242"):
        there = subprocess.run(
            [sys.executable, "-c", _DIGESTS, f"{store.path}/{seed}", *here],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(there.stdout) == here


_DIGESTS = """
import json, sys, torch
from tests.conformance.values import VALUES
from zenml.artifact_stores import LocalArtifactStore
from zenml.materializers.values import write_value

store = LocalArtifactStore(name="store", path=sys.argv[1])
digests = {}
for name in sys.argv[2:]:
    torch.manual_seed(0)
    digests[name] = write_value("output", VALUES[name][0](), f"{store.path}/{name}", store).digest
print(json.dumps(digests))
"""

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text(st.characters())
    | st.binary(max_size=20)
    | st.dates()
    | st.datetimes(timezones=st.none() | st.timezones())
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.fractions()
    | st.sampled_from(Colour)
    | st.integers().map(Number)
    | st.integers().map(Point)
)
hashable = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3).map(tuple) | st.frozensets(inner, max_size=3),
    max_leaves=4,
)
nested = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.tuples(inner, inner).map(lambda both: Pair(*both))
        | st.sets(hashable, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(value=nested)
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_nested_value_comes_back_as_it_was(store, value):
    record = write_value("output", value, f"{store.path}/output", store)

    again = read_value(record, store)

    assert exact(again) == exact(value)
    assert write_value("output", again, f"{store.path}/output", store).digest == record.digest


def exact(value):
    """The value with every type in it spelled out: 1, True and 1.0 are equal, but not the same."""
    kind = type(value).__qualname__
    if isinstance(value, dict):
        return kind, [(exact(key), exact(item)) for key, item in value.items()]
    if isinstance(value, (set, frozenset)):
        return kind, sorted((exact(item) for item in value), key=repr)
    if isinstance(value, (list, tuple)):
        return kind, [exact(item) for item in value]
    if dataclasses.is_dataclass(value):
        return kind, [exact(getattr(value, field.name)) for field in dataclasses.fields(value)]
    return kind, repr(value)
