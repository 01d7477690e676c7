"""Which materializer handles which type: a table of names, looked up along the type's ancestors."""

from __future__ import annotations

import inspect
from functools import cache
from typing import TYPE_CHECKING, Any

from zenml.materializers.base_materializer import BaseMaterializer, defined
from zenml.materializers.classes import class_at, is_importable
from zenml.stack.integrations import built_in_integrations, integrations

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGE = "zenml.materializers"
_BUILT_IN = f"{_PACKAGE}.built_in_materializer.BuiltInMaterializer"
_STRUCTURED = f"{_PACKAGE}.structured_materializer.StructuredMaterializer"
_LAST_RESORT = f"{_PACKAGE}.cloudpickle_materializer.CloudpickleMaterializer"

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
    "pydantic.main.BaseModel": _STRUCTURED,
}


def find_materializer(type_: type[Any]) -> type[BaseMaterializer]:
    """The materializer for values of exactly that type: that of its nearest ancestor which has one.

    For one and the same class, those of the framework and its integrations go before those that users define. Nothing is imported for a type that is not loaded.
    """
    found = _found.get(type_)
    if found is None:
        found = _found[type_] = _find(type_)
    return found


def is_known(type_: type[Any]) -> bool:
    """Whether there is anything better for the type than the last resort, a pickle."""
    return not find_materializer(type_).PICKLES


_found: dict[type[Any], type[BaseMaterializer]] = {}
defined.listeners.append(_found.clear)


def _find(type_: type[Any]) -> type[BaseMaterializer]:
    for path in _candidates(type_):
        if isinstance(path, str) and path in {_BUILT_IN, _STRUCTURED} and _is_outside(type_) and not is_importable(type_):
            # Its instances could be written as data, but not be made again.
            return _load(_LAST_RESORT)
        return _load(path) if isinstance(path, str) else path
    return _load(_LAST_RESORT)


def _candidates(type_: type[Any]) -> Iterator[str | type[BaseMaterializer]]:
    ancestors = inspect.getmro(type_)[:-1]
    for ancestor in ancestors:
        name = f"{ancestor.__module__}.{ancestor.__qualname__}"
        if path := _TABLE.get(name) or _of_integrations().get(name):
            yield path
        elif class_ := defined.materializers.get(ancestor):
            yield class_
        elif "__dataclass_fields__" in vars(ancestor):
            yield _STRUCTURED
    if any(_is_outside(ancestor) for ancestor in ancestors):
        for ancestor in ancestors:
            if path := _of_others().get(f"{ancestor.__module__}.{ancestor.__qualname__}"):
                yield path


def _is_outside(type_: type[Any]) -> bool:
    return type_.__module__ not in {"builtins", "datetime", "decimal", "fractions", "pathlib", "pathlib._local", "uuid", "zoneinfo", "collections"}


def _load(path: str) -> type[BaseMaterializer]:
    found: type[BaseMaterializer] = class_at(path)
    return found


@cache
def _of_integrations() -> dict[str, str]:
    return {type_: path for integration in built_in_integrations() for type_, path in integration.materializers.items()}


@cache
def _of_others() -> dict[str, str]:
    # Scanning the installed distributions takes long: only where nothing nearer is known.
    return {type_: path for integration in integrations() for type_, path in integration.materializers.items()}
