"""Type annotations as data: which value may go where."""

from __future__ import annotations

import collections.abc
import inspect
import types
import typing
from itertools import islice
from typing import Annotated, Any, Literal, NewType, TypeVar, Union, get_args, get_origin

from zenml.materializers.classes import import_path

UNIONS = (Union, types.UnionType)
"""What `get_origin` says of a union, of either notation."""

_ITEMS: dict[Any, tuple[type, ...]] = {str: (str,), bytes: (int,), bytearray: (int,), range: (int,)}
_WIDER: dict[Any, tuple[type, ...]] = {float: (float, int), complex: (complex, float, int)}


def describe(annotation: Any) -> str:
    """The annotation as a person would write it."""
    annotation = type(None) if annotation is None else annotation
    if annotation is type(None):
        return "None"
    if inspect.isclass(annotation) and not get_args(annotation):
        return annotation.__qualname__ if annotation.__module__ == "builtins" else _short(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in UNIONS:
        return " | ".join(map(describe, arguments))
    if isinstance(annotation, list):  # the arguments of a callable
        return f"[{', '.join(map(describe, annotation))}]"
    if inspect.isclass(origin):
        shown = ", ".join("..." if argument is Ellipsis else describe(argument) for argument in arguments)
        return f"{describe(origin)}[{shown}]"
    return str(annotation).replace("typing.", "")


def describe_value(value: Any) -> str:
    """The type of a value; of built-in containers, with the types of their first thousand items."""
    items = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (list, set, frozenset, tuple, dict)) or not value:
        return describe(type(value))
    kinds = " | ".join(dict.fromkeys(describe(type(item)) for item in islice(items, 1000)))
    if isinstance(value, dict):
        keys = " | ".join(dict.fromkeys(describe(type(key)) for key in islice(value, 1000)))
        kinds = f"{keys}, {kinds}"
    return f"{describe(type(value))}[{kinds}{', ...' if isinstance(value, tuple) else ''}]"


def is_assignable(produced: Any, expected: Any) -> bool:
    """Whether a value that is declared as `produced` may be given where `expected` is declared.

    Generics are covariant; what is not known (Any, a missing parameter, a type variable) fits; an int fits a float, as in PEP 484.
    """
    produced, expected = _plain(produced), _plain(expected)
    if expected in (Any, object) or produced is Any or produced == expected:
        return True
    if get_origin(produced) in UNIONS:
        return all(is_assignable(member, expected) for member in get_args(produced))
    if get_origin(expected) in UNIONS:
        return any(is_assignable(produced, member) for member in get_args(expected))
    if get_origin(produced) is Literal:
        return all(conforms(value, expected) for value in get_args(produced))
    if get_origin(expected) is Literal:
        return False
    if not _is_subclass(get_origin(produced) or produced, get_origin(expected) or expected):
        return False
    return _arguments_fit(produced, expected)


def item_of(annotation: Any) -> Any:
    """The type of the items of what is declared as a list, or another sequence; None if it is declared as something else."""
    annotation = _plain(annotation)
    if annotation in (Any, object):
        return Any
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in UNIONS:
        items = [item_of(member) for member in arguments]
        return None if None in items else Union[tuple(items)]  # noqa: UP007 - of a tuple
    if not inspect.isclass(origin) or issubclass(origin, (str, bytes, bytearray, dict)):
        return None
    if issubclass(origin, tuple) and arguments and arguments[-1] is not Ellipsis:
        return Union[arguments]  # noqa: UP007 - of a tuple
    if issubclass(origin, collections.abc.Iterable) and hasattr(origin, "__len__"):
        return arguments[0] if arguments and issubclass(origin, collections.abc.Sequence) else Any
    return None


def conforms(value: Any, annotation: Any, *, deep: bool = True) -> bool:
    """Whether `value` is what `annotation` declares; of built-in containers, each item as well if `deep`."""
    annotation = _plain(annotation)
    if annotation in (Any, object):
        return True
    origin = get_origin(annotation)
    if origin in UNIONS:
        return any(conforms(value, member, deep=deep) for member in get_args(annotation))
    if origin is Literal:
        return any(type(value) is type(member) and value == member for member in get_args(annotation))
    if origin is type:
        return inspect.isclass(value)
    if origin is collections.abc.Callable or annotation is collections.abc.Callable:
        return callable(value)
    if not _is_instance(value, origin or annotation):
        return False
    return not deep or _items_conform(value, get_args(annotation))


def _plain(annotation: Any) -> Any:
    while True:
        if annotation is None:
            return type(None)
        if isinstance(annotation, NewType):
            annotation = annotation.__supertype__
        elif isinstance(annotation, TypeVar):
            return annotation.__bound__ or Any
        elif get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        else:
            return getattr(typing, "Any", None) if isinstance(annotation, str) else annotation


def _arguments_fit(produced: Any, expected: Any) -> bool:
    have, want = get_args(produced) or _ITEMS.get(produced, ()), get_args(expected)
    if len(want) == 1 and len(have) == 2 and _is_subclass(get_origin(produced), collections.abc.Mapping):  # noqa: PLR2004
        have = have[:1]  # iterating over a mapping gives its keys
    if not have or not want:
        return True
    if (get_origin(produced) is tuple) != (get_origin(expected) is tuple):
        # tuple[int, str] where Sequence[...] is expected, or the other way round.
        have = have if Ellipsis not in have else have[:1]
        return len(want) != 1 or all(is_assignable(item, want[0]) for item in have)
    if get_origin(produced) is tuple:
        if Ellipsis in want:
            return all(is_assignable(item, want[0]) for item in have if item is not Ellipsis)
        if Ellipsis in have:
            return all(is_assignable(have[0], item) for item in want)
        return len(have) == len(want) and all(map(is_assignable, have, want))
    if len(have) != len(want):  # different generics: how their parameters relate is not known
        return True
    return all(map(is_assignable, have, want))


def _items_conform(value: Any, arguments: tuple[Any, ...]) -> bool:
    if not arguments:
        return True
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        if len(arguments) == 2 and arguments[1] is Ellipsis:  # noqa: PLR2004 - tuple[int, ...]
            return all(conforms(item, arguments[0]) for item in value)
        if arguments == ((),):
            return not value
        return len(value) == len(arguments) and all(map(conforms, value, arguments))
    if isinstance(value, dict) and len(arguments) == 2:  # noqa: PLR2004 - dict[key, value]
        key, item = arguments
        return all(conforms(k, key) and conforms(v, item) for k, v in value.items())
    if isinstance(value, (list, set, frozenset)) and len(arguments) == 1:
        item = arguments[0]
        if type(item) is type:  # the common case, ten times faster
            known = _WIDER.get(item, item)
            return item is object or all(isinstance(part, known) for part in value)
        return all(conforms(part, item) for part in value)
    return True


def _is_subclass(produced: Any, expected: Any) -> bool:
    try:
        return issubclass(produced, _WIDER.get(expected, expected))
    except TypeError:  # no class, or a protocol that is not made for checks at run time
        return True


def _is_instance(value: Any, expected: Any) -> bool:
    try:
        # A notebook's cell that is executed again makes a new class of the same name: values of the old one are still what is meant.
        return isinstance(value, _WIDER.get(expected, expected)) or any(
            (class_.__module__, class_.__qualname__) == ("__main__", getattr(expected, "__qualname__", None))
            for class_ in type(value).__mro__
            if getattr(expected, "__module__", None) == "__main__"
        )
    except TypeError:
        return True


def _short(class_: type[Any]) -> str:
    if class_.__module__ in ("typing", "collections.abc"):
        return class_.__qualname__
    return f"{import_path(class_).partition('.')[0]}.{class_.__qualname__}"
