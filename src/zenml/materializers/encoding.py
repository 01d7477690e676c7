"""Python values as JSON and back, exactly: the same value, of the same type.

JSON's own types stand for themselves. Everything else is an object whose key "$" names the kind; a mapping that has keys other
than texts, or a key "$", is one, too. Equal values give equal JSON: sets are sorted by it, mappings keep their order. What is no
plain data is handed to `keep`, which stores it elsewhere.
"""

# ruff: noqa: SLF001 - the tables of kinds name the methods of the module's own classes

from __future__ import annotations

import base64
import dataclasses
import json
import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from math import isfinite
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import NoneType
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from zenml.exceptions import MaterializerInterfaceError
from zenml.materializers.classes import class_at, import_path, is_importable

_KIND = "$"
_LONGEST_INT = 1 << 13  # bits; Python refuses to print much longer ones in decimal
_LONGEST_INLINE = 1 << 20  # bytes; longer ones are files of their own
_PLAIN = frozenset({NoneType, bool, int, float})

Keep = Callable[[Any], dict[str, Any]]
"""Stores a value that is no plain data; gives what stands for it."""


def to_json(value: Any, keep: Keep) -> bytes:
    """`value` as JSON text.

    Raises:
        MaterializerInterfaceError: it contains itself, or is nested too deeply.
    """
    try:
        try:
            return _text(_Encoder(keep, careful=False).encode(value))
        except ValueError:  # nan, a very long integer, or a lone surrogate among what was taken as it is
            return _text(_Encoder(keep, careful=True).encode(value))
    except RecursionError:
        raise MaterializerInterfaceError(
            f"A value of type {type(value).__qualname__} cannot be stored: it is nested too deeply. Store it flat, "
            "or choose a materializer of your own with `step.with_return_materializers(...)`."
        ) from None


def from_json(text: bytes, fetch: Callable[[dict[str, Any]], Any]) -> Any:
    """The value of such a text; `fetch` gives what `keep` has stored."""
    return _Decoder(fetch).decode(json.loads(text))


def is_encodable(kind: type[Any]) -> bool:
    """Whether values of exactly that type, one of Python's own or derived from it, can be made again from JSON."""
    if kind in _ENCODERS or kind in _PATHS:
        return True
    if issubclass(kind, Enum):
        return is_importable(kind)
    return any(issubclass(kind, base) and _is_made_by(base, kind) for base in _BASES) and is_importable(kind)


def _text(encoded: Any) -> bytes:
    return json.dumps(encoded, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


class _NotPlainError(Exception):
    pass


def _refuse(value: Any) -> dict[str, Any]:
    raise _NotPlainError(type(value))


class _Encoder:
    def __init__(self, keep: Keep, *, careful: bool) -> None:
        self._keep = keep
        self._careful = careful
        self._open: set[int] = set()

    def encode(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN and not self._careful:
            return value
        if encoder := _ENCODERS.get(kind):
            return encoder(self, value)
        return self._of_class(kind, value)

    def _of_class(self, kind: type[Any], value: Any) -> Any:
        from zenml.materializers.built_in_materializer import BuiltInMaterializer
        from zenml.materializers.registry import find_materializer
        from zenml.materializers.structured_materializer import StructuredMaterializer

        materializer = find_materializer(kind)
        if materializer is StructuredMaterializer:
            return self._guarded(value, self._dataclass if dataclasses.is_dataclass(kind) else self._model)
        if materializer is BuiltInMaterializer:
            if issubclass(kind, Enum):
                return self._enum(value)
            if issubclass(kind, PurePath):
                return self._path(value)
            return self._guarded(value, self._subclass)
        return self._keep(value)

    def _guarded(self, value: Any, encode: Callable[[Any], Any]) -> Any:
        if id(value) in self._open:
            raise MaterializerInterfaceError(
                f"A {type(value).__qualname__} that contains itself cannot be stored: break the circle, "
                "or choose a materializer of your own with `step.with_return_materializers(...)`."
            )
        self._open.add(id(value))
        try:
            return encode(value)
        finally:
            self._open.discard(id(value))

    def _int(self, value: int) -> Any:
        return value if value.bit_length() <= _LONGEST_INT else {_KIND: "int", "hex": hex(value)}

    def _float(self, value: float) -> Any:
        return value if isfinite(value) else {_KIND: "float", "bits": struct.pack(">d", value).hex()}

    def _str(self, value: str) -> Any:
        if not self._careful or value.isascii():
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            return {_KIND: "str", "base64": _base64(value.encode("utf-8", "surrogatepass"))}
        return value

    def _bytes(self, value: bytes | bytearray) -> Any:
        if len(value) > _LONGEST_INLINE:
            return self._keep(value)
        return {_KIND: type(value).__name__, "base64": _base64(value)}

    def _list(self, value: list[Any]) -> Any:
        return self._guarded(value, self._items)

    def _items(self, value: Any) -> list[Any]:
        if not self._careful and set(map(type, value)) <= _PLAIN:
            return list(value)
        return [self.encode(item) for item in value]

    def _sequence(self, value: Any) -> Any:
        return {_KIND: type(value).__name__, "items": self._guarded(value, self._items)}

    def _deque(self, value: deque[Any]) -> Any:
        return {**self._sequence(value), "maxlen": value.maxlen}

    def _set(self, value: Any) -> Any:
        return {_KIND: type(value).__name__, "items": self._sorted(value)}

    def _sorted(self, value: Any) -> list[Any]:
        try:
            plain = _Encoder(_refuse, careful=self._careful)
            return sorted((plain.encode(item) for item in value), key=_text)
        except _NotPlainError:
            import cloudpickle  # type: ignore[import-untyped]

            return [self.encode(item) for item in sorted(value, key=cloudpickle.dumps)]

    def _dict(self, value: dict[Any, Any]) -> Any:
        return self._guarded(value, self._mapping)

    def _mapping(self, value: dict[Any, Any]) -> Any:
        if all(type(key) is str for key in value) and _KIND not in value and not self._careful:
            return {key: self.encode(item) for key, item in value.items()}
        items = [[self.encode(key), self.encode(item)] for key, item in value.items()]
        if all(type(key) is str and key != _KIND for key, _ in items):
            return dict(items)
        return {_KIND: "dict", "items": items}

    def _ordered_dict(self, value: OrderedDict[Any, Any]) -> Any:
        return {_KIND: "OrderedDict", "items": self._pairs(value)}

    def _defaultdict(self, value: defaultdict[Any, Any]) -> Any:
        factory = value.default_factory
        if factory is not None and not isinstance(factory, type):
            return self._keep(value)
        return {
            _KIND: "defaultdict",
            "factory": None if factory is None else import_path(factory),
            "items": self._pairs(value),
        }

    def _pairs(self, value: Any) -> Any:
        return self._guarded(
            value, lambda v: [[self.encode(key), self.encode(item)] for key, item in v.items()]
        )

    def _complex(self, value: complex) -> Any:
        return {_KIND: "complex", "bits": struct.pack(">dd", value.real, value.imag).hex()}

    def _range(self, value: range) -> Any:
        return {
            _KIND: "range",
            "bounds": [self._int(value.start), self._int(value.stop), self._int(value.step)],
        }

    def _datetime(self, value: datetime) -> Any:
        return {
            _KIND: "datetime",
            "value": value.replace(tzinfo=None).isoformat(),
            "fold": value.fold,
            "zone": self.encode(value.tzinfo),
        }

    def _time(self, value: time) -> Any:
        return {
            _KIND: "time",
            "value": value.replace(tzinfo=None).isoformat(),
            "fold": value.fold,
            "zone": self.encode(value.tzinfo),
        }

    def _date(self, value: date) -> Any:
        return {_KIND: "date", "value": value.isoformat()}

    def _timedelta(self, value: timedelta) -> Any:
        return {_KIND: "timedelta", "value": [value.days, value.seconds, value.microseconds]}

    def _timezone(self, value: timezone) -> Any:
        arguments = value.__getinitargs__()  # type: ignore[attr-defined]  # what it is pickled by: offset, and name if it has one
        return {_KIND: "timezone", "arguments": [self.encode(argument) for argument in arguments]}

    def _zone(self, value: ZoneInfo) -> Any:
        return self._keep(value) if not value.key else {_KIND: "ZoneInfo", "key": value.key}

    def _path(self, value: PurePath) -> Any:
        kind = "Path" if isinstance(value, Path) else type(value).__name__
        return {_KIND: kind, "value": self._careful_str(str(value))}

    def _careful_str(self, value: str) -> Any:
        # A name that is no UTF-8 holds surrogates.
        return _Encoder(self._keep, careful=True).encode(value)

    def _text(self, value: Any) -> Any:
        return {_KIND: type(value).__name__, "value": str(value)}

    def _enum(self, value: Enum) -> Any:
        path = import_path(type(value))
        if isinstance(value, Flag):
            return {_KIND: "flag", "type": path, "value": self.encode(value.value)}
        return {_KIND: "enum", "type": path, "name": value.name}

    def _subclass(self, value: Any) -> Any:
        base: Any = next(base for base in _BASES if isinstance(value, base))
        # By the base's own methods: the class may have others of that name.
        plain: Any
        if base is dict:
            plain = dict(zip(dict.keys(value), dict.values(value), strict=True))
        elif base in (list, tuple, set, frozenset):
            plain = base(base.__iter__(value))
        else:
            plain = base.__getnewargs__(value)[0]
        state = getattr(value, "__dict__", {})
        return {
            _KIND: "instance",
            "type": import_path(type(value)),
            "value": self.encode(plain),
            **({"state": self.encode(state)} if state else {}),
        }

    def _dataclass(self, value: Any) -> Any:
        present = [field.name for field in dataclasses.fields(value) if hasattr(value, field.name)]
        return {
            _KIND: "dataclass",
            "type": import_path(type(value)),
            "fields": {name: self.encode(getattr(value, name)) for name in present},
        }

    def _model(self, value: Any) -> Any:
        state = value.__getstate__()
        return {
            _KIND: "model",
            "type": import_path(type(value)),
            "state": {k.strip("_"): self.encode(v) for k, v in state.items()},
        }


_BASES = (int, float, str, bytes, tuple, list, dict, set, frozenset)
_PATHS = (PurePosixPath, PureWindowsPath, type(Path()))
_HEAP_TYPE = 1 << 9  # set in the `__flags__` of classes that a class statement has made


def _is_made_by(base: type[Any], kind: type[Any]) -> bool:
    """Whether an instance of `kind` is wholly its base's value and its `__dict__`, as far as one can tell."""
    between = kind.__mro__[: kind.__mro__.index(base)]
    if any(not class_.__flags__ & _HEAP_TYPE or getattr(class_, "__slots__", ()) for class_ in between):
        return False
    return not any(
        {"__reduce__", "__reduce_ex__", "__getstate__"} & set(vars(c)) for c in between if c is not Counter
    )


def _base64(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


_ENCODERS: dict[type[Any], Callable[[_Encoder, Any], Any]] = {
    NoneType: lambda _, value: value,
    bool: lambda _, value: value,
    int: _Encoder._int,
    float: _Encoder._float,
    str: _Encoder._str,
    bytes: _Encoder._bytes,
    bytearray: _Encoder._bytes,
    list: _Encoder._list,
    tuple: _Encoder._sequence,
    deque: _Encoder._deque,
    set: _Encoder._set,
    frozenset: _Encoder._set,
    dict: _Encoder._dict,
    OrderedDict: _Encoder._ordered_dict,
    defaultdict: _Encoder._defaultdict,
    complex: _Encoder._complex,
    range: _Encoder._range,
    datetime: _Encoder._datetime,
    date: _Encoder._date,
    time: _Encoder._time,
    timedelta: _Encoder._timedelta,
    timezone: _Encoder._timezone,
    ZoneInfo: _Encoder._zone,
    Decimal: _Encoder._text,
    Fraction: _Encoder._text,
    UUID: _Encoder._text,
}


class _Decoder:
    def __init__(self, fetch: Callable[[dict[str, Any]], Any]) -> None:
        self._fetch = fetch

    def decode(self, data: Any) -> Any:
        if type(data) is list:
            return self._items(data)
        if type(data) is not dict:
            return data
        if (kind := data.get(_KIND)) is None:
            return {key: self.decode(value) for key, value in data.items()}
        decoder = _DECODERS.get(kind)
        return decoder(self, data) if decoder else self._fetch(data)

    def _items(self, data: list[Any]) -> list[Any]:
        return data if set(map(type, data)) <= _PLAIN else [self.decode(item) for item in data]

    def _pairs(self, data: dict[str, Any]) -> list[tuple[Any, Any]]:
        return [(self.decode(key), self.decode(value)) for key, value in data["items"]]

    def _defaultdict(self, data: dict[str, Any]) -> Any:
        return defaultdict(None if data["factory"] is None else class_at(data["factory"]), self._pairs(data))

    def _datetime(self, data: dict[str, Any]) -> Any:
        value = datetime.fromisoformat(data["value"])
        return value.replace(fold=data["fold"], tzinfo=self.decode(data["zone"]))

    def _time(self, data: dict[str, Any]) -> Any:
        return time.fromisoformat(data["value"]).replace(fold=data["fold"], tzinfo=self.decode(data["zone"]))

    def _instance(self, data: dict[str, Any]) -> Any:
        kind, value = class_at(data["type"]), self.decode(data["value"])
        base: Any = type(value)
        if base in (list, dict, set):
            made = base.__new__(kind)
            (base.extend if base is list else base.update)(made, value)
        else:
            made = base.__new__(kind, value)
        if "state" in data:
            made.__dict__.update(self.decode(data["state"]))
        return made

    def _dataclass(self, data: dict[str, Any]) -> Any:
        kind = class_at(data["type"])
        values = {name: self.decode(value) for name, value in data["fields"].items()}
        made = object.__new__(kind)
        for field in dataclasses.fields(kind):
            if field.name in values:
                object.__setattr__(made, field.name, values.pop(field.name))
            elif field.default_factory is not dataclasses.MISSING:
                object.__setattr__(made, field.name, field.default_factory())
            elif field.default is not dataclasses.MISSING:
                object.__setattr__(made, field.name, field.default)
        if values:
            raise TypeError(
                f"{kind.__qualname__} was stored with the fields {sorted(values)}, which it does not have any more: "
                "read it with the code that wrote it, or run the step again."
            )
        return made

    def _model(self, data: dict[str, Any]) -> Any:
        kind = class_at(data["type"])
        made = kind.__new__(kind)
        made.__setstate__({f"__{name}__": self.decode(value) for name, value in data["state"].items()})
        return made


_DECODERS: dict[str, Callable[[_Decoder, Any], Any]] = {
    "int": lambda _, d: int(d["hex"], 16),
    "float": lambda _, d: struct.unpack(">d", bytes.fromhex(d["bits"]))[0],
    "str": lambda _, d: base64.b64decode(d["base64"]).decode("utf-8", "surrogatepass"),
    "bytes": lambda _, d: base64.b64decode(d["base64"]),
    "bytearray": lambda _, d: bytearray(base64.b64decode(d["base64"])),
    "complex": lambda _, d: complex(*struct.unpack(">dd", bytes.fromhex(d["bits"]))),
    "range": lambda self, d: range(*self._items(d["bounds"])),
    "tuple": lambda self, d: tuple(self._items(d["items"])),
    "deque": lambda self, d: deque(self._items(d["items"]), d["maxlen"]),
    "set": lambda self, d: set(self._items(d["items"])),
    "frozenset": lambda self, d: frozenset(self._items(d["items"])),
    "dict": lambda self, d: dict(self._pairs(d)),
    "OrderedDict": lambda self, d: OrderedDict(self._pairs(d)),
    "defaultdict": _Decoder._defaultdict,
    "datetime": _Decoder._datetime,
    "time": _Decoder._time,
    "date": lambda _, d: date.fromisoformat(d["value"]),
    "timedelta": lambda _, d: timedelta(*d["value"]),
    "timezone": lambda self, d: timezone(*self._items(d["arguments"])),
    "ZoneInfo": lambda _, d: ZoneInfo(d["key"]),
    "Decimal": lambda _, d: Decimal(d["value"]),
    "Fraction": lambda _, d: Fraction(d["value"]),
    "UUID": lambda _, d: UUID(d["value"]),
    "Path": lambda self, d: Path(self.decode(d["value"])),
    "PurePosixPath": lambda self, d: PurePosixPath(self.decode(d["value"])),
    "PureWindowsPath": lambda self, d: PureWindowsPath(self.decode(d["value"])),
    "enum": lambda _, d: class_at(d["type"])[d["name"]],
    "flag": lambda self, d: class_at(d["type"])(self.decode(d["value"])),
    "instance": _Decoder._instance,
    "dataclass": _Decoder._dataclass,
    "model": _Decoder._model,
}
