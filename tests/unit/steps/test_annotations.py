"""Which value may go where."""

from __future__ import annotations

import collections.abc
import enum
from collections.abc import Iterable, Sequence
from typing import (
    Annotated,
    Any,
    Dict,
    List,
    Literal,
    NamedTuple,
    NewType,
    Optional,
    Tuple,
    TypeVar,
    Union,
)

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml.steps.annotations import conforms, describe, is_assignable

T = TypeVar("T")
UserId = NewType("UserId", int)


class Base: ...


class Child(Base): ...


class Point(NamedTuple):
    x: int
    y: int


class Colour(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("produced", "expected"),
    [
        (int, int),
        (bool, int),
        (int, float),
        (int, complex),
        (Child, Base),
        (int, Any),
        (Any, int),
        (int, object),
        (None, None),
        (int, Optional[int]),
        (int, int | str),
        (None, Union[int, None]),
        (Union[int, bool], int),
        (list[int], list),
        (list, list[int]),
        (List[int], list[int]),
        (list[bool], list[int]),
        (list[int], Sequence[int]),
        (list[int], collections.abc.Iterable[float]),
        (dict[str, int], Dict[str, float]),
        (dict[str, int], collections.abc.Mapping[str, int]),
        (tuple[int, str], tuple[int, str]),
        (tuple[int, int], Tuple[int, ...]),
        (tuple[int, int], Sequence[int]),
        (tuple[int, ...], tuple[int, int]),
        (Literal["a"], str),
        (Literal["a"], Literal["a", "b"]),
        (Annotated[int, "positive"], int),
        (UserId, int),
        (list[T], list[int]),
        (Point, tuple),
        (np.ndarray, np.ndarray),
    ],
)
def test_fits(produced: Any, expected: Any) -> None:
    assert is_assignable(produced, expected)


@pytest.mark.parametrize(
    ("produced", "expected"),
    [
        (int, str),
        (float, int),
        (str, list[str]),
        (Base, Child),
        (Optional[int], int),
        (int | str, int),
        (None, int),
        (list[str], list[int]),
        (list[int], tuple[int, ...]),
        (dict[str, int], dict[int, int]),
        (tuple[int, str], tuple[int, int]),
        (tuple[int, str], tuple[int]),
        (tuple[int, str], Sequence[int]),
        (list[int], dict),
        (str, Literal["a"]),
        (str, Sequence[int]),
        (dict[str, int], Iterable[int]),
        (Literal["c"], Literal["a", "b"]),
        (np.ndarray, list),
    ],
)
def test_does_not_fit(produced: Any, expected: Any) -> None:
    assert not is_assignable(produced, expected)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        (1, float),
        (True, int),
        (None, Optional[int]),
        ([1, 2], list[int]),
        ({"a": [1]}, dict[str, list[int]]),
        ((1, "a"), tuple[int, str]),
        ((), tuple[()]),
        ((1, 2, 3), tuple[int, ...]),
        (Point(1, 2), Point),
        ("a", Literal["a"]),
        (int, type),
        (print, collections.abc.Callable),
        (Colour.RED, Colour),
        (np.zeros(1), np.ndarray),
    ],
)
def test_conforms(value: Any, annotation: Any) -> None:
    assert conforms(value, annotation)


@pytest.mark.parametrize(
    ("value", "annotation"),
    [
        ("1", int),
        (1.0, int),
        (None, int),
        ([1, "2"], list[int]),
        ({1: 1}, dict[str, int]),
        ((1, 2), tuple[int, str]),
        ((1,), tuple[int, str]),
        (True, Literal[1]),
        (1, type),
        ([1], np.ndarray),
    ],
)
def test_does_not_conform(value: Any, annotation: Any) -> None:
    assert not conforms(value, annotation)


def test_only_the_outside_is_looked_at_where_that_is_enough() -> None:
    assert conforms(["x"], list[int], deep=False)


VALUES_OF = {
    int: st.integers(),
    str: st.text(),
    bool: st.booleans(),
    list[int]: st.lists(st.integers()),
    dict[str, int]: st.dictionaries(st.text(), st.integers()),
    tuple[int, str]: st.tuples(st.integers(), st.text()),
    Optional[int]: st.none() | st.integers(),
}


@given(st.data())
def test_a_value_of_what_is_produced_conforms_to_whatever_it_may_be_given_to(data: st.DataObject) -> None:
    produced = data.draw(st.sampled_from(list(VALUES_OF)))
    expected = data.draw(st.sampled_from([*VALUES_OF, float, list, object, Any, Sequence[int]]))
    value = data.draw(VALUES_OF[produced])
    assert conforms(value, produced)
    if is_assignable(produced, expected):
        assert conforms(value, expected)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Optional[int], "int | None"),
        (list[int], "list[int]"),
        (np.ndarray, "numpy.ndarray"),
        (np.dtype[np.float64], "numpy.dtype[numpy.float64]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (list[Optional[Colour]], "list[tests.Colour | None]"),
        (Sequence[int], "Sequence[int]"),
        (collections.abc.Callable[[int], str], "Callable[[int], str]"),
        (Literal["a", 1], "Literal['a', 1]"),
    ],
)
def test_types_are_shown_as_people_write_them(annotation: Any, text: str) -> None:
    assert describe(annotation) == text
