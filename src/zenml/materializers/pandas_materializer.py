"""pandas data frames, series, indices and scalars."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pandas as pd

from zenml.artifacts import BaseArtifact, DataArtifact, SchemaArtifact, StatisticsArtifact
from zenml.exceptions import MissingPackageError
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.materializers.built_in_materializer import EncodedMaterializer
from zenml.materializers.scalar_materializer import ScalarMaterializer

_TABLE = "data.parquet"


class PandasMaterializer(BaseMaterializer):
    """Data frames, series and indices.

    The columns and the index lie in `data.parquet`, by position, and labels, names and types in the folder `frame`. Columns that
    Parquet cannot hold exactly (Python objects other than texts and bytes, categories, complex numbers) lie in that folder, too.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (pd.DataFrame, pd.Series, pd.Index)
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (
        DataArtifact,
        StatisticsArtifact,
        SchemaArtifact,
    )

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the frame, series or index."""
        super().handle_input(data_type)
        frame = EncodedMaterializer(BaseArtifact(f"{self.artifact.uri}/frame")).handle_input(object)
        arrays = self._read(frame["arrays"])
        rows = _index(frame["rows"], arrays)
        if frame["kind"] == "Index":
            return rows
        if frame["kind"] == "Series":
            made: Any = pd.Series(arrays[0], index=rows, name=frame["name"], copy=False)
        else:
            labels = _made_index(frame["labels"])
            made = pd.DataFrame(dict(enumerate(arrays[: len(labels)])), index=rows, copy=False)
            made.columns = labels
        made.attrs = frame["attrs"]
        return made

    def handle_return(self, data: Any) -> None:
        """Write the frame, series or index."""
        super().handle_return(data)
        frame: dict[str, Any]
        arrays: list[Any]
        if isinstance(data, pd.Index):
            frame, arrays = {"kind": "Index"}, []
            frame["rows"] = _described(data, arrays)
        else:
            is_series = isinstance(data, pd.Series)
            arrays = [_array(data)] if is_series else [_array(data.iloc[:, i]) for i in range(data.shape[1])]
            frame = {"kind": "Series" if is_series else "DataFrame", "attrs": data.attrs}
            if is_series:
                frame["name"] = data.name
            else:
                frame["labels"] = _labels(data.columns)
            frame["rows"] = _described(data.index, arrays)
        frame["arrays"] = self._write(arrays)
        fileio.makedirs(f"{self.artifact.uri}/frame")
        EncodedMaterializer(BaseArtifact(f"{self.artifact.uri}/frame")).handle_return(frame)

    def _write(self, arrays: list[Any]) -> list[dict[str, Any]]:
        parquet, pa = _parquet()
        notes = [_note(array) for array in arrays]
        table = {
            str(i): array
            for i, (array, note) in enumerate(zip(arrays, notes, strict=True))
            if "dtype" in note
        }
        flat = pd.DataFrame(table, index=pd.RangeIndex(len(arrays[0]) if arrays else 0), copy=False)
        with fileio.open(f"{self.artifact.uri}/{_TABLE}", "wb") as file:
            parquet.write_table(pa.Table.from_pandas(flat, preserve_index=False), file)
        return notes

    def _read(self, notes: list[dict[str, Any]]) -> list[Any]:
        with fileio.open(f"{self.artifact.uri}/{_TABLE}", "rb") as file:
            table = _parquet()[0].read_table(file)
        flat = table.to_pandas()
        arrays = []
        for position, note in enumerate(notes):
            name = str(position)
            if "dtype" not in note:
                arrays.append(_made(note))
            elif note["dtype"] == "arrow":
                arrays.append(pd.arrays.ArrowExtensionArray(table.column(name)))
            else:
                arrays.append(_restored(_array(flat[name]), note))
        return arrays


class PandasScalarMaterializer(ScalarMaterializer):
    """Time stamps, differences, periods, NaT and NA."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (
        pd.Timestamp,
        pd.Timedelta,
        pd.Period,
        type(pd.NaT),
        type(pd.NA),
    )

    @classmethod
    def encode(cls, value: Any) -> dict[str, Any]:
        """The number that it is kept as, and its unit."""
        if isinstance(value, pd.Timestamp):
            zone = None if value.tz is None else str(value.tz)
            return {
                "kind": "Timestamp",
                "value": int(value.asm8.view("i8")),
                "unit": value.unit,
                "zone": zone,
            }
        if isinstance(value, pd.Timedelta):
            return {"kind": "Timedelta", "value": int(value.asm8.view("i8")), "unit": value.unit}
        if isinstance(value, pd.Period):
            return {"kind": "Period", "value": value.ordinal, "unit": value.freqstr}
        return {"kind": "NA" if value is pd.NA else "NaT"}

    @classmethod
    def decode(cls, data: dict[str, Any]) -> Any:
        """The value."""
        match data["kind"]:
            case "Timestamp":
                stamp = pd.Timestamp(np.datetime64(data["value"], data["unit"]))
                return stamp if data["zone"] is None else stamp.tz_localize("UTC").tz_convert(data["zone"])
            case "Timedelta":
                return pd.Timedelta(np.timedelta64(data["value"], data["unit"]))
            case "Period":
                return pd.Period(ordinal=data["value"], freq=data["unit"])
            case "NA":
                return pd.NA
        return pd.NaT


def _parquet() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet
    except ImportError as error:
        raise MissingPackageError(
            "A pandas object is stored as Parquet, which needs pyarrow: install it with `pip install 'pyarrow>=17'`."
        ) from error
    return pyarrow.parquet, pa


def _array(column: Any) -> Any:
    array = column.array
    return array.to_numpy() if type(array) is pd.arrays.NumpyExtensionArray else array


def _described(index: Any, arrays: list[Any]) -> dict[str, Any]:
    """How to make an index again from its values, which are added to `arrays`; a range needs none."""
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step], "names": [index.name]}
    levels = [index.get_level_values(level) for level in range(index.nlevels)]
    first = len(arrays)
    arrays.extend(_array(level) for level in levels)
    return {
        "positions": list(range(first, len(arrays))),
        "multi": isinstance(index, pd.MultiIndex),
        "names": list(index.names),
        "frequency": getattr(index, "freqstr", None)
        if isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex))
        else None,
    }


def _index(description: dict[str, Any], arrays: list[Any]) -> Any:
    names = description["names"]
    if "range" in description:
        start, stop, step = description["range"]
        return pd.RangeIndex(start, stop, step, name=names[0])
    levels = [arrays[position] for position in description["positions"]]
    if description["multi"]:
        return pd.MultiIndex.from_arrays(levels, names=names)
    # A list of tuples would become a MultiIndex.
    index: Any = pd.Index(levels[0], dtype=levels[0].dtype, tupleize_cols=False)
    index.names = names
    if description["frequency"] is not None:
        index.freq = description["frequency"]
    return index


def _labels(index: Any) -> dict[str, Any]:
    """An index that stands in the description itself: the labels of columns, the categories of a column."""
    arrays: list[Any] = []
    description = _described(index, arrays)
    return {**description, "arrays": [_contents(array) for array in arrays]}


def _made_index(labels: dict[str, Any]) -> Any:
    return _index(labels, [_made(contents) for contents in labels.get("arrays", [])])


def _note(array: Any) -> dict[str, Any]:
    """The type of a column that Parquet can hold exactly; of another one, what it consists of."""
    dtype = array.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return {"dtype": "arrow"}
    if _is_object(dtype) and (missing := _missing(np.asarray(array))) is not None:
        return {"dtype": "object", "missing": missing[0]}
    if isinstance(dtype, np.dtype):
        return (
            {"dtype": dtype.str} if dtype.kind in "biufmM" and dtype.itemsize <= _WIDEST else _contents(array)
        )
    if isinstance(dtype, (pd.StringDtype, pd.DatetimeTZDtype, pd.PeriodDtype)) or hasattr(array, "_mask"):
        return {"dtype": _name(dtype)}
    return _contents(array)


_WIDEST = 8  # bytes of a number in Parquet


def _is_object(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _missing(array: Any) -> tuple[Any] | None:
    """What stands for a missing text in a column of nothing but texts, or of nothing but bytes; None for any other column."""
    types = set(map(type, array))
    texts, blanks = types & {str, bytes}, types & {float, type(None)}
    if len(texts) != 1 or len(blanks) > 1 or texts | blanks != types:
        return None
    if float in blanks and not all(value != value for value in array if type(value) is float):  # noqa: PLR0124 - nan alone differs from itself
        return None
    try:
        if str in texts:
            "".join(value for value in array if type(value) is str).encode()
    except UnicodeEncodeError:
        return None
    return (float("nan") if float in blanks else None,)


def _name(dtype: Any) -> str:
    return f"string[{dtype.storage}]" if str(dtype) == "string" else str(dtype)


def _restored(array: Any, note: dict[str, Any]) -> Any:
    if note["dtype"] != "object":
        return array.astype(pd.api.types.pandas_dtype(note["dtype"]), copy=False)
    values = np.asarray(array, object)
    values[pd.isna(values)] = note["missing"]
    return values


def _contents(array: Any) -> dict[str, Any]:
    """What a column consists of: lists, NumPy arrays, other columns."""
    dtype = array.dtype
    if _is_object(dtype):
        return {"objects": list(array)}
    if isinstance(dtype, np.dtype):
        return {"array": np.asarray(array)}
    if isinstance(dtype, pd.CategoricalDtype):
        return {"codes": array.codes, "categories": _labels(array.categories), "ordered": bool(array.ordered)}
    if isinstance(dtype, pd.DatetimeTZDtype):
        return {"array": array.asi8, "type": str(dtype)}
    if isinstance(dtype, pd.StringDtype):
        return {"objects": list(array), "type": _name(dtype)}
    if isinstance(dtype, pd.IntervalDtype):
        return {"left": _labels(array.left), "right": _labels(array.right), "closed": array.closed}
    if isinstance(dtype, pd.SparseDtype):
        return {"dense": np.asarray(array), "fill": dtype.fill_value}
    return {"whole": array}


def _made(contents: dict[str, Any]) -> Any:
    if "objects" in contents:
        made = np.empty(len(contents["objects"]), object)
        for position, value in enumerate(contents["objects"]):
            made[position] = value
        return pd.array(made, dtype=contents["type"]) if "type" in contents else made
    if "array" in contents:
        array = contents["array"]
        return (
            pd.DatetimeIndex(array.view(f"M8[{_unit(contents['type'])}]"), tz="UTC")
            .astype(contents["type"])
            .array
            if "type" in contents
            else array
        )
    if "codes" in contents:
        return pd.Categorical.from_codes(
            contents["codes"], _made_index(contents["categories"]), contents["ordered"]
        )
    if "left" in contents:
        left, right = _made_index(contents["left"]), _made_index(contents["right"])
        return pd.arrays.IntervalArray.from_arrays(left, right, contents["closed"])
    if "dense" in contents:
        return pd.arrays.SparseArray(contents["dense"], fill_value=contents["fill"])
    return contents["whole"]


def _unit(dtype: str) -> str:
    return dtype.removeprefix("datetime64[").partition(",")[0]
