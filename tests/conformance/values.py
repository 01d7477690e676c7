"""Values of every type that a materializer is known for, and how to see that two are the same."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import fractions
import math
import uuid
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import torch
from pydantic import BaseModel, PrivateAttr
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier


@dataclass(frozen=True)
class Point:
    x: int
    tags: frozenset[str] = frozenset()
    next: Point | None = None


@dataclass
class Holder:
    array: Any
    made: int = field(init=False, default=7)


@dataclass(slots=True)
class Slotted:
    a: int
    b: list[Any]


class Colour(enum.Enum):
    RED = 1
    GREEN = "g"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Rights(enum.Flag):
    READ = 1
    WRITE = 2


class Number(int):
    pass


class Text(str):  # noqa: SLOT000 - it has attributes
    note: str = ""


class Bag(list):
    pass


Pair = namedtuple("Pair", "left right")  # noqa: PYI024 - the old way


class Row(NamedTuple):
    name: str
    size: float


class Settings(BaseModel):
    rate: float
    names: tuple[str, ...] = ()
    nested: Settings | None = None
    _seen: int = PrivateAttr(default=0)


class Own(BaseEstimator):
    def __init__(self, power=1):
        self.power = power

    def fit(self, X):  # noqa: N803 - as scikit-learn has it
        self.mean_ = X.mean() ** self.power
        return self


def plain(a: Any, b: Any) -> bool:
    return bool(a == b)


def text_with_note() -> Text:
    value = Text("text")
    value.note = "kept"
    return value


def settings_with_private() -> Settings:
    value = Settings(rate=0.5, nested=Settings(rate=1))
    value._seen = 3
    return value


def arrays(a: Any, b: Any) -> bool:
    np.testing.assert_array_equal(np.ma.getdata(a), np.ma.getdata(b), strict=True)
    if isinstance(b, np.ma.MaskedArray):
        np.testing.assert_array_equal(np.ma.getmaskarray(a), np.ma.getmaskarray(b))
        assert a.fill_value == b.fill_value
    return a.dtype == b.dtype and (not b.flags.contiguous or a.flags.f_contiguous == b.flags.f_contiguous)


def frames(a: Any, b: Any) -> bool:
    if isinstance(b, pd.Index):
        pd.testing.assert_index_equal(a, b, exact=True)
        return True
    if isinstance(b, pd.Series):
        pd.testing.assert_series_equal(a, b, check_index_type=True)
    else:
        pd.testing.assert_frame_equal(a, b, check_index_type=True, check_column_type=True)
        pd.testing.assert_index_equal(a.columns, b.columns, exact=True)
    pd.testing.assert_index_equal(a.index, b.index, exact=True)
    return a.attrs == b.attrs


def same(a: Any, b: Any) -> bool:
    return a is b or bool(a == b)


def equals(a: Any, b: Any) -> bool:
    return bool(a.equals(b))


def polars(a: Any, b: Any) -> bool:
    if isinstance(b, pl.LazyFrame):
        return polars(a.collect(), b.collect())
    return a.equals(b) and (
        a.schema == b.schema if isinstance(b, pl.DataFrame) else (a.name, a.dtype) == (b.name, b.dtype)
    )


def tensors(a: Any, b: Any) -> bool:
    return (
        torch.equal(a.detach().to_dense(), b.detach().to_dense())
        and (a.dtype, a.layout) == (b.dtype, b.layout)
        and a.requires_grad == b.requires_grad
    )


def modules(a: Any, b: Any) -> bool:
    inputs = torch.ones(2, 3)
    return torch.equal(a(inputs), b(inputs)) and a.training == b.training


def loaders(a: Any, b: Any) -> bool:
    return all(
        torch.equal(x, y) for left, right in zip(a, b, strict=True) for x, y in zip(left, right, strict=True)
    )


X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 0, 1])


def estimators(a: Any, b: Any) -> bool:
    if isinstance(b, Own):
        return vars(a) == vars(b)
    return a.get_params().keys() == b.get_params().keys() and np.array_equal(a.predict(X), b.predict(X))


def figures(a: Any, b: Any) -> bool:
    return [axes.get_title() for axes in a.axes] == [axes.get_title() for axes in b.axes]


def figure() -> Any:
    import matplotlib.figure

    made = matplotlib.figure.Figure()
    axes = made.subplots()
    axes.plot([1, 2, 3])
    axes.set_title("losses")
    return made


def tied() -> Any:
    left, right = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    right.weight = left.weight
    return torch.nn.Sequential(left, torch.nn.ReLU(), torch.nn.BatchNorm1d(3), right)


def cycle_free_shared() -> Any:
    shared = [1, 2]
    return [shared, shared, {"again": shared}]


N = 5
BIG_FRAME = pd.DataFrame(
    {
        "integer": range(N),
        "small": np.arange(N, dtype="u1"),
        "float": [1.0, np.nan, -0.0, math.inf, 5],
        "half": np.arange(N, dtype="f2"),
        "bool": [True, False, True, False, True],
        "complex": np.arange(N) * 1j,
        "text": list("abcdé"),
        "text-none": ["a", None, "b", None, ""],
        "text-nan": ["a", np.nan, "b", np.nan, ""],
        "text-both": ["a", np.nan, "b", None, ""],
        "mixed": [1, "a", None, 2.5, (1, 2)],
        "lists": [[1], [2], [], None, [3]],
        "bytes": [b"\x00"] * N,
        "nothing": [None] * N,
        "decimal": [
            decimal.Decimal("1.0"),
            decimal.Decimal(2),
            None,
            decimal.Decimal("NaN"),
            decimal.Decimal(3),
        ],
        "day": [dt.date(2024, 2, 29)] * N,
        "category": pd.Categorical(list("aabbc"), ordered=True),
        "cut": pd.cut(range(N), 3),
        "time": pd.date_range("2020", periods=N),
        "seconds": np.array(range(N), dtype="M8[s]"),
        "zone": pd.date_range("2020", periods=N, tz="Europe/Berlin"),
        "delta": pd.to_timedelta(range(N), unit="s"),
        "period": pd.period_range("2020", periods=N, freq="M"),
        "interval": pd.interval_range(0, N, N),
        "Int64": pd.array([1, None, 3, 4, 5], dtype="Int64"),
        "boolean": pd.array([True, None, False, True, True], dtype="boolean"),
        "string": pd.array(["a", None, "c", "d", "e"], dtype="string"),
        "arrow-string": pd.array(["a", None, "c", "d", "e"], dtype="string[pyarrow]"),
        "arrow": pd.array([1, 2, 3, None, 5], dtype="int64[pyarrow]"),
        "sparse": pd.arrays.SparseArray([0, 0, 1, 0, 0]),
    }
)


def frame_with_attributes() -> pd.DataFrame:
    made = pd.DataFrame({"a": [1]})
    made.attrs["source"] = ("here", 1)
    return made


MULTI = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", None])

VALUES: dict[str, tuple[Callable[[], Any], Callable[[Any, Any], bool]]] = {
    name: (make, same_)
    for same_, group in {
        plain: {
            "true": lambda: True,
            "zero": lambda: 0,
            "long": lambda: -(3**20000),
            "float": lambda: 0.1,
            "infinite": lambda: -math.inf,
            "complex": lambda: complex(1.5, -0.0),
            "text": lambda: "grüße 文 🎉 \x00 \n",
            "surrogates": lambda: "\ud83d\ude00 \udcff",
            "bytes": lambda: bytes(range(256)),
            "bytearray": lambda: bytearray(b"x" * 100_000),
            "none": lambda: None,
            "list": lambda: [1, 2.0, "x", None, True, [], [[]]],
            "tuple": lambda: (1, (2, [3, (4,)]), ()),
            "set": lambda: {"b", "a", 3, (1, frozenset({2}))},
            "frozenset": lambda: frozenset(range(100)),
            "dict": lambda: {"b": 1, "a": {2: "two", (1, 2): "pair", None: 3, True: 4.5, "$": 5}, "$": "x"},
            "nested": lambda: {"list": [{"set": {1}}, (b"x" * 10, bytearray(b"y"))]},
            "large-bytes-inside": lambda: [b"x" * (1 << 20), bytearray(b"y" * ((1 << 20) + 1))],
            "shared": cycle_free_shared,
            "range": lambda: range(10, 0, -2),
            "deque": lambda: deque([1, 2], maxlen=3),
            "ordered": lambda: OrderedDict([("b", 1), ("a", 2)]),
            "default": lambda: defaultdict(list, {"a": [1]}),
            "counter": lambda: Counter("hello"),
            "date": lambda: dt.date(2024, 2, 29),
            "naive": lambda: dt.datetime(2024, 10, 27, 2, 30, 1, 5, fold=1),  # noqa: DTZ001 - that is tested
            "utc": lambda: dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
            "zone": lambda: dt.datetime(2024, 1, 1, tzinfo=zoneinfo.ZoneInfo("Asia/Tokyo")),
            "named-offset": lambda: dt.timezone(dt.timedelta(hours=-3, minutes=30), "here"),
            "time": lambda: dt.time(23, 59, 59, 999999, tzinfo=dt.timezone.utc),
            "timedelta": lambda: dt.timedelta(days=-1, microseconds=7),
            "path": lambda: Path("a/../b/ü"),
            "posix-path": lambda: PurePosixPath("/x"),
            "windows-path": lambda: PureWindowsPath("C:\\x"),
            "odd-path": lambda: Path("\udcff"),
            "uuid": lambda: uuid.UUID(int=5),
            "decimal": lambda: decimal.Decimal("1.500"),
            "fraction": lambda: fractions.Fraction(1, 3),
            "enum": lambda: Colour.GREEN,
            "int-enum": lambda: Level.HIGH,
            "flag": lambda: Rights.READ | Rights.WRITE,
            "int-subclass": lambda: Number(7),
            "text-subclass": text_with_note,
            "list-subclass": lambda: Bag([1, Number(2)]),
            "named-tuple": lambda: Pair(1, [2]),
            "typed-tuple": lambda: Row("x", 1.0),
            "dataclass": lambda: Point(1, frozenset({"a", "b", "c"}), Point(2)),
            "slots": lambda: Slotted(1, [(2,)]),
            "pydantic": settings_with_private,
            "set-of-points": lambda: {Point(number) for number in range(10)},
            "many": lambda: [Point(1), Colour.RED, Settings(rate=1), {Level.LOW: Pair(1, 2)}],
            "numpy-in-set": lambda: {np.int64(1), np.int64(2)},
            "numpy-text": lambda: np.str_("text"),
            "numpy-bytes": lambda: np.bytes_(b"bytes"),
            "numpy-float": lambda: np.float64(0.1),
            "numpy-bool": lambda: np.bool_(True),
            "numpy-date": lambda: np.datetime64("2024-02-29", "D"),
            "timestamp": lambda: pd.Timestamp("2024-01-01 10:00", tz="Europe/Berlin"),
            "coarse-timestamp": lambda: pd.Timestamp("2024").as_unit("s"),
            "pandas-delta": lambda: pd.Timedelta("1s"),
            "period": lambda: pd.Period("2024-01", "M"),
            "timestamps": lambda: [pd.Timestamp("2024"), pd.Timedelta("1s")],
        },
        lambda a, b: math.isnan(a) and math.copysign(1, a) == math.copysign(1, b): {
            "nan": lambda: -math.nan,
            "decimal-nan": lambda: decimal.Decimal("NaN"),
        },
        same: {"nat": lambda: pd.NaT, "na": lambda: pd.NA},
        lambda a, b: a.made == b.made and arrays(a.array, b.array): {
            "array-in-dataclass": lambda: Holder(np.arange(3))
        },
        lambda a, b: all(map(arrays, a["x"], b["x"])): {
            "arrays": lambda: {"x": (np.arange(3), np.ones((2, 2)))}
        },
        arrays: {
            "array": lambda: np.arange(12.0).reshape(3, 4),
            "array-0d": lambda: np.array(3.5),
            "array-empty": lambda: np.zeros((0, 3), "i2"),
            "array-fortran": lambda: np.asfortranarray(np.arange(12).reshape(3, 4)),
            "array-sliced": lambda: np.arange(20).reshape(4, 5)[1:, ::2],
            "array-text": lambda: np.array(["a", "bcd", "é"]),
            "array-bytes": lambda: np.array([b"a", b"bc"]),
            "array-structured": lambda: np.array(
                [(1, 2.5, "x")], [("a", "<i4"), ("b", ">f8"), ("c", "U3", (2,))]
            ),
            "array-dates": lambda: np.array(["2024-01-01", "NaT"], "M8[D]"),
            "array-bool": lambda: np.array([[True, False]]),
            "array-complex": lambda: np.array([1 + 2j]),
            "array-big-endian": lambda: np.array([1], ">i8"),
            "array-half": lambda: np.array([1, 2], "f2"),
            "array-long": lambda: np.array([1.5], np.longdouble),
            "array-objects": lambda: np.array([1, "a", None, 2.5], object).reshape(2, 2),
            "array-strings": lambda: np.array(["x", "yyy"], np.dtypes.StringDType()),
            "array-empty-text": lambda: np.array([], "U0"),
            "matrix": lambda: np.array([[1, 2]]).view(np.matrix),
            "masked": lambda: np.ma.masked_array([1, 2, 3], mask=[0, 1, 0], fill_value=7),
            "record": lambda: np.rec.array([(1, 2.0)], dtype=[("a", "i8"), ("b", "f8")]),
        },
        frames: {
            "frame": BIG_FRAME.copy,
            "frame-empty": pd.DataFrame,
            "frame-no-rows": lambda: pd.DataFrame(columns=["a", "b"]),
            "frame-no-columns": lambda: pd.DataFrame(index=[1, 2]),
            "frame-numbered": lambda: pd.DataFrame([[1, 2], [3, 4]]),
            "frame-mixed-labels": lambda: pd.DataFrame([[1, 2], [3, 4]], columns=[0, "a"]),
            "frame-same-labels": lambda: pd.DataFrame(
                [[1, 2], [3, 4]], columns=["a", "a"], index=pd.Index(["x", "y"], name=("k", 1))
            ),
            "frame-multi": lambda: pd.DataFrame([[1, 2], [3, 4]], columns=MULTI, index=MULTI[::-1]),
            "frame-dates": lambda: pd.DataFrame([[1, 2]], columns=pd.date_range("2020", periods=2, tz="UTC")),
            "frame-attributes": frame_with_attributes,
            "series": lambda: pd.Series([1, 2], name="x", index=[7, 8]),
            "series-tuple-name": lambda: pd.Series([1.5], name=("x", 1)),
            "series-empty": lambda: pd.Series([], dtype=float),
            "series-category": BIG_FRAME["cut"].copy,
            "index": lambda: pd.Index(["a", "b"], name="n"),
            "index-range": lambda: pd.RangeIndex(1, 9, 2),
            "index-dates": lambda: pd.date_range("2020", periods=3),
            "index-multi": lambda: pd.MultiIndex.from_product([[1, 2], ["a"]]),
            "index-tuples": lambda: pd.Index([(1, 2), (3, 4)], tupleize_cols=False),
            "index-interval": lambda: pd.interval_range(0, 3),
        },
        polars: {
            "polars": lambda: pl.DataFrame(
                {
                    "a": [1, None],
                    "text": ["x", "y"],
                    "category": pl.Series(["u", "v"], dtype=pl.Categorical),
                    "list": [[1], [2, 3]],
                    "struct": [{"x": 1}, {"x": 2}],
                    "enum": pl.Series(["u", "v"], dtype=pl.Enum(["u", "v"])),
                    "date": [dt.date(2024, 1, 1), None],
                    "decimal": pl.Series(["1.20", "3"]).cast(pl.Decimal(10, 2)),
                }
            ),
            "polars-empty": pl.DataFrame,
            "polars-series": lambda: pl.Series("x", [1, None]),
            "polars-lazy": lambda: pl.LazyFrame({"a": [1, 2]}).filter(pl.col("a") > 1),
        },
        equals: {
            "arrow": lambda: pa.table({"a": [1, None], "b": ["x", "y"]}).replace_schema_metadata({"k": "v"}),
            "arrow-batch": lambda: pa.record_batch({"a": [1]}),
            "arrow-array": lambda: pa.array([1, None]),
            "arrow-chunks": lambda: pa.chunked_array([[1], [2, 3]]),
            "arrow-empty": lambda: pa.table({"a": pa.array([], pa.int8())}),
        },
        estimators: {
            "regression": lambda: LinearRegression().fit(X, Y),
            "tree": lambda: DecisionTreeClassifier(random_state=0).fit(X, Y),
            "pipeline": lambda: make_pipeline(StandardScaler(), LinearRegression()).fit(X, Y),
            "own-estimator": lambda: Own(2).fit(X),
        },
        tensors: {
            "tensor": lambda: torch.arange(6.0).reshape(2, 3),
            "tensor-scalar": lambda: torch.tensor(1.5),
            "tensor-empty": lambda: torch.zeros(0, 3),
            "tensor-transposed": lambda: torch.arange(6).reshape(2, 3).T,
            "tensor-bfloat": lambda: torch.ones(2, dtype=torch.bfloat16),
            "tensor-complex": lambda: torch.ones(2, dtype=torch.complex64),
            "tensor-sparse": lambda: torch.eye(3).to_sparse(),
            "tensor-gradient": lambda: torch.ones(3, requires_grad=True),
            "parameter": lambda: torch.nn.Parameter(torch.ones(2)),
        },
        modules: {"module": tied, "module-evaluating": lambda: tied().eval()},
        loaders: {
            "loader": lambda: torch.utils.data.DataLoader(
                torch.utils.data.TensorDataset(torch.arange(6)), batch_size=2
            )
        },
        figures: {"figure": figure},
    }.items()
    for name, make in group.items()
}
