"""Which materializer handles which type: a table of names, looked up along the type's ancestors."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from zenml.exceptions import MaterializerInterfaceError
from zenml.materializers.base_materializer import BaseMaterializer, defined
from zenml.materializers.classes import class_at, is_importable
from zenml.materializers.encoding import is_encodable
from zenml.stack.integrations import built_in_integrations, integrations

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = "zenml.materializers"
_BUILT_IN = f"{_PACKAGE}.built_in_materializer.BuiltInMaterializer"
_STRUCTURED = f"{_PACKAGE}.structured_materializer.StructuredMaterializer"
_LAST_RESORT = f"{_PACKAGE}.cloudpickle_materializer.CloudpickleMaterializer"

_NUMPY = f"{_PACKAGE}.numpy_materializer.NumpyMaterializer"
_NUMPY_SCALAR = f"{_PACKAGE}.numpy_materializer.NumpyScalarMaterializer"
_PANDAS = f"{_PACKAGE}.pandas_materializer.PandasMaterializer"
_PANDAS_SCALAR = f"{_PACKAGE}.pandas_materializer.PandasScalarMaterializer"
_POLARS = f"{_PACKAGE}.polars_materializer.PolarsMaterializer"
_PYARROW = f"{_PACKAGE}.pyarrow_materializer.PyArrowMaterializer"

_TABLE = {
    **dict.fromkeys(
        (
            "builtins.NoneType",
            "builtins.bool",
            "builtins.bytearray",
            "builtins.bytes",
            "builtins.complex",
            "builtins.dict",
            "builtins.float",
            "builtins.frozenset",
            "builtins.int",
            "builtins.list",
            "builtins.range",
            "builtins.set",
            "builtins.str",
            "builtins.tuple",
            "collections.deque",
            "datetime.date",
            "datetime.time",
            "datetime.timedelta",
            "datetime.timezone",
            "decimal.Decimal",
            "enum.Enum",
            "fractions.Fraction",
            "pathlib.PurePath",
            "uuid.UUID",
            "zoneinfo.ZoneInfo",
        ),
        _BUILT_IN,
    ),
    "pathlib._local.PurePath": _BUILT_IN,  # its home in Python 3.13
    "zenml.services.service.BaseService": f"{_PACKAGE}.service_materializer.ServiceMaterializer",
    "pyarrow.lib.Array": _PYARROW,
    "pyarrow.lib.ChunkedArray": _PYARROW,
    "pydantic.main.BaseModel": _STRUCTURED,
    "matplotlib.figure.Figure": f"{_PACKAGE}.matplotlib_materializer.MatplotlibMaterializer",
    "numpy.bytes_": _NUMPY_SCALAR,  # bytes and str are nearer than generic is
    "numpy.generic": _NUMPY_SCALAR,
    "numpy.str_": _NUMPY_SCALAR,
    "pandas._libs.missing.NAType": _PANDAS_SCALAR,
    "pandas._libs.tslibs.nattype.NaTType": _PANDAS_SCALAR,
    "pandas._libs.tslibs.period.Period": _PANDAS_SCALAR,
    "pandas._libs.tslibs.timedeltas.Timedelta": _PANDAS_SCALAR,
    "pandas._libs.tslibs.timestamps.Timestamp": _PANDAS_SCALAR,
}

_SECRET = frozenset({"pydantic.types.SecretStr", "pydantic.types.SecretBytes"})

# Subclasses of these have more to them than what is written of their bases.
_EXACT = {
    "numpy.ma.MaskedArray": _NUMPY,
    "numpy.matrix": _NUMPY,
    "numpy.memmap": _NUMPY,
    "numpy.ndarray": _NUMPY,
    "numpy.rec.recarray": _NUMPY,
    "pandas.core.frame.DataFrame": _PANDAS,
    "pandas.core.series.Series": _PANDAS,
    "polars.dataframe.frame.DataFrame": _POLARS,
    "polars.lazyframe.frame.LazyFrame": _POLARS,
    "polars.series.series.Series": _POLARS,
    "pyarrow.lib.RecordBatch": _PYARROW,
    "pyarrow.lib.Table": _PYARROW,
    **dict.fromkeys(
        (
            f"pandas.core.indexes.{module}"
            for module in (
                "base.Index",
                "category.CategoricalIndex",
                "datetimes.DatetimeIndex",
                "interval.IntervalIndex",
                "multi.MultiIndex",
                "period.PeriodIndex",
                "range.RangeIndex",
                "timedeltas.TimedeltaIndex",
            )
        ),
        _PANDAS,
    ),
}
# Where pandas 3 and NumPy 1 say that these classes live.
_EXACT |= {
    "numpy.recarray": _NUMPY,
    "numpy.ma.core.MaskedArray": _NUMPY,
    "pandas.DataFrame": _PANDAS,
    "pandas.Series": _PANDAS,
    **{f"pandas.{name.rpartition('.')[2]}": _PANDAS for name in _EXACT if ".indexes." in name},
}


def find_materializer(type_: type[Any]) -> type[BaseMaterializer]:
    """The materializer for values of exactly that type: that of its nearest ancestor which has one.

    For one and the same class, those of the framework and its integrations go before those that users define. Nothing is
    imported for a type that is not loaded.
    """
    found = _found.get(type_)
    if found is None:
        found = _found[type_] = _find(type_)
    return found


def is_known(type_: type[Any]) -> bool:
    """Whether there is anything better for the type than the last resort, a pickle."""
    return find_materializer(type_) is not last_resort()


def last_resort() -> type[BaseMaterializer]:
    """The materializer for whatever no other one is known for: it pickles."""
    return _load(_LAST_RESORT)


_found: dict[type[Any], type[BaseMaterializer]] = {}
defined.listeners.append(_found.clear)


def _find(type_: type[Any]) -> type[BaseMaterializer]:
    if any(_name(ancestor) in _SECRET for ancestor in type_.__mro__):
        raise MaterializerInterfaceError(
            f"A {type_.__qualname__} is not stored: artifacts are kept in clear. Keep the secret in the stack's secrets manager, "
            "and read it in the step that needs it."
        )
    for path in _candidates(type_):
        if (path == _BUILT_IN and not is_encodable(type_)) or (
            path == _STRUCTURED and not is_importable(type_)
        ):
            break  # its instances could be written as data, but not be made again
        return _load(path) if isinstance(path, str) else path
    return last_resort()


def _candidates(type_: type[Any]) -> Iterator[str | type[BaseMaterializer]]:
    ancestors = inspect.getmro(type_)[:-1]
    if path := _EXACT.get(_name(type_)):
        yield path
    for ancestor in ancestors:
        name = _name(ancestor)
        if path := _TABLE.get(name) or _of_integrations().get(name):
            yield path
        elif class_ := defined.materializers.get(ancestor):
            yield class_
        elif "__dataclass_fields__" in vars(ancestor):
            yield _STRUCTURED
    for ancestor in ancestors:
        if path := _of_others().get(_name(ancestor)):
            yield path


def _name(type_: type[Any]) -> str:
    return f"{type_.__module__}.{type_.__qualname__}"


def _load(path: str) -> type[BaseMaterializer]:
    found: type[BaseMaterializer] = class_at(path)
    return found


@cache
def _of_integrations() -> dict[str, str]:
    return {
        type_: path
        for integration in built_in_integrations()
        for type_, path in integration.materializers.items()
    }


@cache
def _of_others() -> dict[str, str]:
    # Scanning the installed distributions takes long: only where nothing nearer is known.
    return {
        type_: path for integration in integrations() for type_, path in integration.materializers.items()
    }
