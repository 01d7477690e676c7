"""Plain data: names, canonical JSON, records and deployments."""

from __future__ import annotations

import json
import math
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, InvalidNameError
from zenml.model.deployment import Deployment, InputSpec, OutputSpec, StackSpec, StepSpec
from zenml.model.json import canonical
from zenml.model.names import check_name
from zenml.model.records import ComponentRecord, FlavorRecord, StackRecord
from zenml.model.runs import FileEntry, manifest_digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
NAMES = st.from_regex(r"[A-Za-z0-9_][\w.:@+=-]{0,30}[\w]", fullmatch=True)


@given(JSON)
def test_canonical_text_is_json_of_the_same_value(value: object) -> None:
    assert json.loads(canonical(value)) == value


@given(st.dictionaries(st.text(), JSON))
def test_canonical_text_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_canonical_text_is_json_only() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(math.nan)


@given(NAMES)
def test_names(name: str) -> None:
    assert check_name(name, "thing") == name


@given(st.text(alphabet="/\\\0\n\r\t", min_size=1), NAMES)
def test_names_never_leave_their_folder(bad: str, name: str) -> None:
    for candidate in (bad, bad + name, name + bad + name, "../" + name, ".." + name, "." + name):
        with pytest.raises(InvalidNameError):
            check_name(candidate, "thing")


@given(NAMES, st.dictionaries(st.text(), JSON), st.dictionaries(st.just("from_the_future"), JSON))
def test_records_round_trip_and_keep_what_they_do_not_know(
    name: str, configuration: dict[str, object], unknown: dict[str, object]
) -> None:
    type_ = StackComponentType.ALERTER
    for record in (
        ComponentRecord(type_, name, "f", uuid4(), configuration, ("token",), unknown),
        StackRecord(name, {type_: name}, unknown),
        FlavorRecord(type_, name, "m.C", "", unknown),
    ):
        document = json.loads(canonical(record.to_document()))
        assert type(record).from_document(record.key, document) == record


def deployment() -> Deployment:
    component = ComponentRecord(StackComponentType.ORCHESTRATOR, "o", "local", uuid4(), {"a": [1]})
    flavor = FlavorRecord(StackComponentType.ORCHESTRATOR, "own", "m.Own")
    step = StepSpec(
        name="s",
        source="m.s",
        entrypoint_name="s",
        inputs={"x": InputSpec("r", "output")},
        upstream=("r",),
        outputs=(OutputSpec("output", "int", ("m.M",), "m.A"),),
        parameters={"p": {"q": [None, 1.5]}},
        code={"m.s": "0"},
        step_operator="op",
    )
    return Deployment(
        "p", "run", uuid4(), (step,), StackSpec("st", {component.type: component}, (flavor,)), git_sha="abc"
    )


def test_a_deployment_round_trips_through_json() -> None:
    before = deployment()
    assert Deployment.from_document(json.loads(canonical(before.to_document()))) == before


def test_a_newer_deployment_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="update zenml"):
        Deployment.from_document({**deployment().to_document(), "version": 99})


def test_the_digest_of_a_value_depends_on_its_files_alone() -> None:
    a, b = FileEntry("a", 1, "00"), FileEntry("b", 2, "11")
    assert manifest_digest([a, b]) == manifest_digest([b, a])
    assert manifest_digest([a]) != manifest_digest([FileEntry("b", 1, "00")])
