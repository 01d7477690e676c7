"""Pickles: what can be imported goes by its import path, the main program's own included; everything else by value."""

from __future__ import annotations

import io
import sys
from dataclasses import MISSING
from enum import Enum
from types import FunctionType
from typing import IO, Any

import cloudpickle  # type: ignore[import-untyped]

from zenml.materializers.base_materializer import BaseMaterializer
from zenml.materializers.classes import class_at, import_path, is_importable

_WHOLE = 6
"""How many things `cloudpickle` makes a class from; of a class that Python itself defines, it keeps the name only."""


class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Pickles with `cloudpickle`, which by itself would make a second class of each one of the main program's at every read."""

    def __init__(self, file: IO[bytes]) -> None:
        # A fixed protocol: equal values, equal bytes, whatever the Python that writes them.
        super().__init__(file, protocol=5)

    def reducer_override(self, obj: Any) -> Any:
        """How `obj` is pickled, if not as any other."""
        if isinstance(obj, (type, FunctionType)) and self.is_of_main(obj):
            return class_at, (import_path(obj),)  # type: ignore[arg-type]  # functions have paths, too
        if obj is MISSING:
            return "MISSING"  # fields of data classes are compared with it by identity
        reduced = super().reducer_override(obj)
        if (
            reduced is NotImplemented
            or not isinstance(obj, type)
            or issubclass(obj, Enum)
            or len(reduced[1]) < _WHOLE
        ):
            return reduced
        # A class is made empty and filled later; of these names something depends on being there from the start.
        names = reduced[1][3]
        names["__qualname__"] = obj.__qualname__
        if issubclass(obj, BaseMaterializer):
            names["ASSOCIATED_TYPES"] = obj.ASSOCIATED_TYPES
            names["ASSOCIATED_ARTIFACT_TYPES"] = obj.ASSOCIATED_ARTIFACT_TYPES
        return reduced

    def is_of_main(self, definition: Any) -> bool:
        """Whether this class or function can be imported from the file of the main program."""
        module = definition.__module__
        is_main = module == "__main__" or sys.modules.get(module) is sys.modules["__main__"]
        return is_main and is_importable(definition)


def dumps(value: Any) -> bytes:
    """The pickle of a value; any `pickle.loads` reads it. Raises whatever an object of it raises: it may not be picklable."""
    buffer = io.BytesIO()
    Pickler(buffer).dump(value)
    return buffer.getvalue()
