"""Our materializers pass the suite, with values of every type that they are known for."""

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
from zenml.materializers.values import read_value, write_value
from zenml.testing.conformance import MaterializerConformance

ROOT = Path(__file__).parents[2]

# Whether two of them are written alike is up to pickle, and to the numbers that modules begin with.
UNSTEADY = {"figure", "loader", "module", "module-evaluating"}


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="store", path=tmp_path / "store")


class TestBuiltIn(MaterializerConformance):
    values = {name: make for name, (make, _) in VALUES.items()}
    unsteady = UNSTEADY

    def make(self, name):
        torch.manual_seed(0)
        return super().make(name)

    def is_same(self, name, again, value):
        return VALUES[name][1](again, value)


def written(name, store, output="output"):
    torch.manual_seed(0)
    return write_value(output, VALUES[name][0](), f"{store.path}/runs/1/{output}", store)


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
