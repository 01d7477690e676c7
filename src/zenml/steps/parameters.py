"""Parameters of steps: plain values, to JSON and back by their annotation."""

from __future__ import annotations

import math
import reprlib
from functools import lru_cache
from typing import Any

from pydantic import PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from zenml.exceptions import ConfigurationError
from zenml.model.json import canonical
from zenml.steps.annotations import conforms, describe

_ATOMS = (bool, int, float, str, type(None))


def to_json(step: str, name: str, value: Any, annotation: Any) -> Any:
    """A parameter as JSON data.

    Raises:
        ConfigurationError: the value is not what the annotation says, or cannot be written as JSON.
    """
    if (
        type(value) in _ATOMS
        and type(value) is annotation
        and (annotation is not float or math.isfinite(value))
    ):
        return value
    try:
        adapter = _adapter(annotation)
        valid = adapter.validate_python(value)
        if isinstance(value, str) and isinstance(valid, (int, float)):
            raise ConfigurationError(_wrong(step, name, value, annotation))
        plain = adapter.dump_python(valid, mode="json")
        if isinstance(valid, (set, frozenset)):
            plain = sorted(plain, key=canonical)  # the same in every process
        canonical(plain)
        back = adapter.validate_python(plain)
    except ValidationError as error:
        reasons = "; ".join(detail["msg"] for detail in error.errors(include_url=False, include_input=False))
        raise ConfigurationError(f"{_wrong(step, name, value, annotation)} {reasons}.") from None
    except (
        TypeError,
        ValueError,
        PydanticSerializationError,
        PydanticSchemaGenerationError,
        PydanticUserError,
    ) as error:
        if isinstance(error, ConfigurationError):
            raise
        what = str(value) if isinstance(value, float) else f"a {type(value).__qualname__}"
        raise ConfigurationError(
            f"The parameter {name!r} of the step '{step}' cannot be {what}: parameters are JSON data or pydantic "
            "models. Make it the output of a step instead."
        ) from error
    if type(back) is not type(valid) or back != valid:
        # A masked secret, a tuple where anything may stand, an instance of a subclass.
        raise ConfigurationError(
            f"The parameter {name!r} of the step '{step}' is a {describe(type(value))}, but what can be kept of it would come back as "
            f"{reprlib.repr(back)}. Annotate the argument with the type that it has; a secret is read in the step, from the stack's "
            "secrets manager."
        )
    return plain


def from_json(step: str, name: str, plain: Any, annotation: Any) -> Any:
    """The parameter that this JSON data stands for. Raises ConfigurationError."""
    if type(plain) in _ATOMS and type(plain) is annotation:
        return plain
    try:
        return _adapter(annotation).validate_python(plain)
    except ValidationError:
        raise ConfigurationError(_wrong(step, name, plain, annotation)) from None


def from_text(value: Any, annotation: Any) -> Any:
    """A value from a file: text may stand for a number, as YAML reads 1e-3 as text."""
    if isinstance(value, str) and not conforms(value, annotation):
        try:
            return _adapter(annotation).validate_python(value)
        except ValidationError:
            return value
    return value


@lru_cache(maxsize=1024)
def _cached(annotation: Any) -> TypeAdapter[Any]:
    return TypeAdapter(annotation)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return _cached(annotation)
    except TypeError:  # an annotation that cannot be hashed
        return TypeAdapter(annotation)


def _wrong(step: str, name: str, value: Any, annotation: Any) -> str:
    return f"The parameter {name!r} of the step '{step}' is {reprlib.repr(value)}, expected {describe(annotation)}."
