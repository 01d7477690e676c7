"""The data validator that needs nothing: rows by a pydantic model, frames by declared columns."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, Field, ValidationError

from zenml.data_validators.base_data_validator import BaseDataValidator
from zenml.data_validators.report import Failure, ValidationReport
from zenml.data_validators.schema import ColumnSchema, FrameSchema

_KINDS = 100


class LocalDataValidator(BaseDataValidator):
    """Checks rows with a pydantic model, and frames of pandas and Polars with a `FrameSchema`.

    Of each kind of mistake, the report names the first `listed_rows` rows.
    """

    FLAVOR: ClassVar[str] = "local"

    listed_rows: int = Field(default=20, ge=0)

    def validate_data(self, data: Any, schema: Any) -> ValidationReport:
        """Compare `data` with `schema`.

        With a pydantic model, `data` are rows: mappings, or instances of the model or of what it takes; a frame's rows become mappings.
        With a `FrameSchema`, a frame.

        Raises:
            TypeError: `schema` is neither, or `data` is no frame for a FrameSchema, or no iterable for a model.
        """
        if isinstance(schema, FrameSchema):
            return self._validate_frame(data, schema)
        if inspect.isclass(schema) and issubclass(schema, BaseModel):
            return self._validate_rows(_rows(data), schema)
        raise TypeError(f"A schema is a FrameSchema or a pydantic model, not {schema!r}.")

    def _validate_rows(self, rows: Iterable[Any], model: type[BaseModel]) -> ValidationReport:
        found: dict[tuple[str, str], tuple[str, list[int]]] = {}
        omitted: set[tuple[str, str]] = set()
        number = -1
        for number, row in enumerate(rows):
            try:
                model.model_validate(row)
            except ValidationError as error:
                for detail in error.errors(include_url=False, include_input=False):
                    # Positions in lists differ from row to row; the kind of mistake does not.
                    column = ".".join("*" if isinstance(part, int) else part for part in detail["loc"])
                    key = (column, detail["type"])
                    if key in found or len(found) < _KINDS:
                        _, numbers = found.setdefault(key, (detail["msg"].removeprefix("Value error, "), []))
                        if not numbers or numbers[-1] != number:
                            numbers.append(number)
                    else:
                        omitted.add(key)
        failures = tuple(
            self._failure(check, column, message, numbers)
            for (column, check), (message, numbers) in found.items()
        )
        return ValidationReport(rows=number + 1, failures=failures, omitted=len(omitted))

    def _validate_frame(self, frame: Any, schema: FrameSchema) -> ValidationReport:
        library = _library(frame)
        if library is None:
            raise TypeError(
                f"A FrameSchema describes a DataFrame of pandas or Polars, not a {type(frame).__qualname__}. "
                "Rows are checked with a pydantic model."
            )
        failures: list[Failure] = []
        names = [str(name) for name in frame.columns]
        height = len(frame)
        if height < schema.min_rows:
            message = f"{height} rows are fewer than {schema.min_rows}"
            failures.append(Failure(check="min_rows", message=message, count=1))
        if not schema.other_columns:
            failures += [
                Failure(
                    check="other_columns", column=name, message="the column is not declared", count=height
                )
                for name in names
                if name not in schema.columns
            ]
        for name, column in schema.columns.items():
            times = names.count(name)
            if times != 1:
                message = "the column is missing" if not times else f"{times} columns have this name"
                failures.append(Failure(check="present", column=name, message=message, count=height))
                continue
            series = frame[frame.columns[names.index(name)]]
            actual = str(series.dtype)
            if column.dtype is not None and not _is_kind(series, column.dtype, library):
                message = f"the values are {actual}, not {column.dtype}"
                failures.append(Failure(check="dtype", column=name, message=message, count=height))
            for check, message, numbers in _violations(_values(series, library), column):
                failures.append(self._failure(check, name, message, numbers))
        return ValidationReport(rows=height, failures=tuple(failures))

    def _failure(self, check: str, column: str, message: str, numbers: list[int]) -> Failure:
        return Failure(
            check=check,
            column=column,
            message=message,
            count=len(numbers),
            rows=tuple(numbers[: self.listed_rows]),
        )


def _library(data: Any) -> str | None:
    """The library that a frame is of, without importing any."""
    for class_ in type(data).__mro__:
        package = class_.__module__.partition(".")[0]
        if class_.__name__ == "DataFrame" and package in {"pandas", "polars"}:
            return package
    return None


def _rows(data: Any) -> Iterable[Any]:
    match _library(data):
        case "pandas":
            rows: Iterable[Any] = data.to_dict(orient="records")
        case "polars":
            rows = data.iter_rows(named=True)
        case _:
            if isinstance(data, (str, bytes, dict)) or not isinstance(data, Iterable):
                raise TypeError(
                    f"Rows are an iterable of mappings or objects, or a frame; not a {type(data).__qualname__}."
                )
            rows = data
    return rows


def _values(series: Any, library: str) -> list[Any]:
    """The values, with None for each missing one."""
    if library == "polars":
        return [None if value != value else value for value in series.to_list()]  # noqa: PLR0124 - NaN alone differs from itself
    return [None if null else value for value, null in zip(series.tolist(), series.isna(), strict=True)]


def _is_kind(series: Any, kind: str, library: str) -> bool:
    dtype = series.dtype
    if library == "polars":
        tests: dict[str, Callable[[], bool]] = {
            "bool": lambda: dtype == "Boolean" or str(dtype) == "Boolean",
            "int": dtype.is_integer,
            "float": dtype.is_float,
            "number": dtype.is_numeric,
            "str": lambda: str(dtype) in {"String", "Categorical"} or str(dtype).startswith("Enum"),
            "datetime": lambda: str(dtype).startswith(("Datetime", "Date")),
        }
    else:
        from pandas.api import types

        tests = {
            "bool": lambda: types.is_bool_dtype(dtype),
            "int": lambda: types.is_integer_dtype(dtype),
            "float": lambda: types.is_float_dtype(dtype),
            "number": lambda: types.is_numeric_dtype(dtype) and not types.is_bool_dtype(dtype),
            "str": lambda: all(isinstance(value, str) for value in series.dropna()),
            "datetime": lambda: types.is_datetime64_any_dtype(dtype),
        }
    return tests[kind]() if kind in tests else str(dtype) == kind


def _violations(values: list[Any], column: ColumnSchema) -> Iterator[tuple[str, str, list[int]]]:
    """Each broken rule, what it says, and the rows that break it."""
    if not column.nullable:
        yield from _broken(
            "nullable", "a value is missing", values, lambda value: value is None, of_missing=True
        )
    if column.unique:
        counts = Counter(_hashable(value) for value in values)
        yield from _broken(
            "unique", "the value occurs more than once", values, lambda v: counts[_hashable(v)] > 1
        )
    if column.min is not None:
        yield from _broken(
            "min", f"the value is below {column.min}", values, lambda value: value < column.min
        )
    if column.max is not None:
        yield from _broken(
            "max", f"the value is above {column.max}", values, lambda value: value > column.max
        )
    if column.allowed is not None:
        allowed = column.allowed
        yield from _broken(
            "allowed", f"the value is none of {list(allowed)}", values, lambda v: v not in allowed
        )
    if column.pattern is not None:
        matches = re.compile(column.pattern).fullmatch
        message = f"the value does not match {column.pattern!r}"
        yield from _broken("pattern", message, values, lambda value: matches(value) is None)


def _broken(
    check: str, message: str, values: list[Any], breaks: Callable[[Any], bool], *, of_missing: bool = False
) -> Iterator[tuple[str, str, list[int]]]:
    wrong, incomparable = [], []
    for number, value in enumerate(values):
        if value is None and not of_missing:
            continue
        try:
            if breaks(value):
                wrong.append(number)
        except TypeError:
            incomparable.append(number)
    if wrong:
        yield check, message, wrong
    if incomparable:
        yield check, f"the value is of a type that `{check}` cannot judge", incomparable


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value
