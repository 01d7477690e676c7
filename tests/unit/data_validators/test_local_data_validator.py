"""Data that are as they should be, and data that are not."""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from pydantic import BaseModel, Field

from zenml.artifact_stores import LocalArtifactStore
from zenml.data_validators import ColumnSchema, FrameSchema, LocalDataValidator, ValidationReport
from zenml.enums import StackComponentType
from zenml.exceptions import DataValidationError
from zenml.materializers.values import read_value, write_value
from zenml.stack.flavors import find_flavor, load_flavor

validator = LocalDataValidator(name="checks")


class Person(BaseModel):
    name: str = Field(min_length=1)
    age: int = Field(ge=0)
    tags: list[int] = []


@pytest.fixture(params=[pd.DataFrame, pl.DataFrame])
def frame(request: pytest.FixtureRequest) -> Any:
    """The class of both libraries."""
    return request.param


def test_the_flavor_is_found_by_its_name() -> None:
    assert load_flavor(find_flavor(StackComponentType.DATA_VALIDATOR, "local")) is LocalDataValidator


def test_rows_are_checked_by_a_model_and_every_mistake_has_its_row_numbers() -> None:
    rows = [
        {"name": "Ada", "age": 36},
        {"name": "", "age": -1},
        {"name": "Bob"},
        {"name": "Eve", "age": -3, "tags": ["x", "y"]},
    ]
    report = validator.validate_data(rows, Person)
    assert not report.success
    assert str(report) == (
        "4 rows have 4 kinds of mistakes:\n"
        "  name: String should have at least 1 character (1 row: 1)\n"
        "  age: Input should be greater than or equal to 0 (2 rows: 1, 3)\n"
        "  age: Field required (1 row: 2)\n"
        "  tags.*: Input should be a valid integer, unable to parse string as an integer (1 row: 3)"
    )
    with pytest.raises(DataValidationError, match="age: Field required"):
        report.raise_for_failures()


def test_good_data_pass(frame: Any) -> None:
    data = frame({"name": ["a", "b"], "age": [1, 2]})
    assert validator.validate_data(data, Person) == ValidationReport(rows=2)
    schema = FrameSchema(
        columns={"name": ColumnSchema(dtype="str", unique=True), "age": ColumnSchema(dtype="int", min=0)},
        other_columns=False,
    )
    report = validator.validate_data(data, schema)
    report.raise_for_failures()
    assert str(report) == "2 rows are as they should be."
    assert validator.validate_data([], Person).success


def test_each_rule_of_a_column_is_reported_with_its_rows(frame: Any) -> None:
    data = frame(
        {
            "id": [1, 2, 2, 4],
            "grade": ["A", "B", "Z", None],
            "mail": ["a@x", "nope", "b@y", "c@z"],
            "weight": [70.5, float("nan"), -1.0, 500.0],
            "extra": [0, 0, 0, 0],
        }
    )
    schema = FrameSchema(
        columns={
            "id": ColumnSchema(dtype="int", unique=True),
            "grade": ColumnSchema(dtype="str", allowed=("A", "B")),
            "mail": ColumnSchema(pattern=r"\w+@\w+"),
            "weight": ColumnSchema(dtype="float", nullable=True, min=0, max=300),
            "height": ColumnSchema(),
        },
        other_columns=False,
        min_rows=10,
    )
    assert [str(failure) for failure in validator.validate_data(data, schema).failures] == [
        "4 rows are fewer than 10",
        "extra: the column is not declared",
        "id: the value occurs more than once (2 rows: 1, 2)",
        "grade: a value is missing (1 row: 3)",
        "grade: the value is none of ['A', 'B'] (1 row: 2)",
        r"mail: the value does not match '\\w+@\\w+' (1 row: 1)",
        "weight: the value is below 0 (1 row: 2)",
        "weight: the value is above 300 (1 row: 3)",
        "height: the column is missing",
    ]


@pytest.mark.parametrize(
    ("values", "right", "wrong"),
    [
        ([True, False], "bool", "int"),
        ([1, 2], "int", "float"),
        ([1, 2], "number", "str"),
        ([1.0, 2.0], "float", "int"),
        ([True, False], "bool", "number"),
        (["a", "b"], "str", "number"),
        ([dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 2)], "datetime", "str"),  # noqa: DTZ001 - frames hold them so
    ],
)
def test_kinds_of_values(frame: Any, values: list[Any], right: str, wrong: str) -> None:
    data = frame({"x": values})
    assert validator.validate_data(data, FrameSchema(columns={"x": ColumnSchema(dtype=right)})).success
    (failure,) = validator.validate_data(data, FrameSchema(columns={"x": ColumnSchema(dtype=wrong)})).failures
    assert failure.check == "dtype"
    assert failure.message.endswith(f"not {wrong}")


def test_a_type_may_be_named_exactly() -> None:
    schema = FrameSchema(columns={"x": ColumnSchema(dtype="int8")})
    assert validator.validate_data(pd.DataFrame({"x": np.array([1], dtype="int8")}), schema).success
    assert not validator.validate_data(pd.DataFrame({"x": [1]}), schema).success


def test_values_that_a_rule_cannot_judge_are_failures() -> None:
    data = pd.DataFrame({"x": [1, "two"]})
    (failure,) = validator.validate_data(data, FrameSchema(columns={"x": ColumnSchema(min=0)})).failures
    assert str(failure) == "x: the value is of a type that `min` cannot judge (1 row: 1)"


def test_two_columns_of_one_name_are_a_failure() -> None:
    data = pd.DataFrame([[1, 2]], columns=["x", "x"])
    (failure,) = validator.validate_data(data, FrameSchema(columns={"x": ColumnSchema()})).failures
    assert str(failure) == "x: 2 columns have this name"


def test_a_report_names_the_first_rows_counts_all_and_shows_no_value(frame: Any) -> None:
    data = frame({"x": ["secret"] * 1000})
    report = validator.validate_data(data, FrameSchema(columns={"x": ColumnSchema(unique=True, pattern="a")}))
    assert [(failure.count, len(failure.rows)) for failure in report.failures] == [(1000, 20), (1000, 20)]
    assert "secret" not in report.model_dump_json() + report.to_html() + str(report)


def test_the_number_of_kinds_is_bounded() -> None:
    class Open(BaseModel):
        values: dict[str, int]

    report = validator.validate_data([{"values": {f"k{i}": "x" for i in range(250)}}], Open)
    assert (len(report.failures), report.omitted) == (100, 150)
    assert str(report).endswith("and 230 more")


def test_a_report_is_an_artifact_json_and_html(tmp_path: Any) -> None:
    report = validator.validate_data([{"name": "<b>", "age": "x"}], Person)
    assert ValidationReport.model_validate_json(report.model_dump_json()) == report
    assert "<td>age</td><td>int_parsing</td>" in report.to_html()
    store = LocalArtifactStore(name="s", path=str(tmp_path / "store"))
    record = write_value("report", report, f"{store.path}/report", store)
    assert read_value(record, store) == report


def test_what_cannot_be_compared_is_refused() -> None:
    with pytest.raises(TypeError, match="describes a DataFrame of pandas or Polars, not a list"):
        validator.validate_data([1], FrameSchema(columns={"x": ColumnSchema()}))
    with pytest.raises(TypeError, match="A schema is a FrameSchema or a pydantic model, not 'x'"):
        validator.validate_data([1], "x")  # type: ignore[arg-type]
    with pytest.raises(
        TypeError, match="Rows are an iterable of mappings or objects, or a frame; not a dict"
    ):
        validator.validate_data({"name": "x"}, Person)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"min": 3, "max": 1}, "nothing lies between min=3 and max=1"),
        ({"min": 3, "max": "a"}, "min and max are of different kinds"),
        ({"pattern": "("}, r"is no regular expression"),
        ({"typ": "int"}, "Extra inputs are not permitted"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(wrong: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        ColumnSchema(**wrong)
