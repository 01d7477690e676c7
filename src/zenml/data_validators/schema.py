"""What a frame should be, declared."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Kind = Literal["bool", "int", "float", "number", "str", "datetime"]
Bound = int | float | datetime | date | str


class ColumnSchema(BaseModel):
    """What a column should hold. Null, NaN and NaT are missing values: they are judged by `nullable` alone.

    Bounds belong to the range; `pattern` is a regular expression of Python's that the whole text must match. `dtype` is a kind of values,
    or the name that the library gives a type exactly ("int64", "Float32").
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dtype: Kind | str | None = None
    nullable: bool = False
    unique: bool = False
    min: Bound | None = None
    max: Bound | None = None
    allowed: tuple[Any, ...] | None = None
    pattern: str | None = None

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _ordered(self) -> ColumnSchema:
        try:
            empty = self.min is not None and self.max is not None and self.min > self.max  # type: ignore[operator]
        except TypeError:
            raise ValueError(f"min and max are of different kinds: {self.min!r}, {self.max!r}") from None
        if empty:
            raise ValueError(f"nothing lies between min={self.min!r} and max={self.max!r}")
        return self


class FrameSchema(BaseModel):
    """What a frame should be: its columns by name, and whether it may have others."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, ColumnSchema] = Field(min_length=1)
    other_columns: bool = True
    min_rows: int = Field(default=0, ge=0)
