"""Parameters of steps: plain values, to JSON and back by their annotation."""

from __future__ import annotations

import math
import reprlib
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin

from pydantic import (
    PydanticSchemaGenerationError,
    PydanticUserError,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic_core import PydanticSerializationError

from zenml.context import running_step
from zenml.exceptions import ConfigurationError
from zenml.model.json import canonical
from zenml.secret.references import has_reference
from zenml.steps.annotations import UNIONS, conforms, describe

_ATOMS = (bool, int, float, str, type(None))


def to_json(step: str, name: str, value: Any, annotation: Any) -> Any:
    """A parameter as JSON data; a secret as the text that refers to it.

    Raises:
        ConfigurationError: the value is not what the annotation says, cannot be written as JSON, or is a secret in clear.
    """
    if (
        type(value) in _ATOMS
        and type(value) is annotation
        and (annotation is not float or math.isfinite(value))
    ):
        return value
    if is_secret(annotation):
        return _reference(step, name, value, annotation)
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
            f"{reprlib.repr(back)}. Annotate the argument with the type that it has; a secret is an argument of its own, or a "
            "field of the configuration, with the type SecretStr."
        )
    return plain


def from_json(step: str, name: str, plain: Any, annotation: Any) -> Any:
    """The parameter that this JSON data stands for; what refers to a secret is resolved with the running step's stack.

    Raises:
        ConfigurationError: it is not what the annotation says.
        SecretError: a secret is not there.
    """
    if type(plain) in _ATOMS and type(plain) is annotation:
        return plain
    if isinstance(plain, str) and is_secret(annotation):
        running = running_step()
        assert running is not None  # noqa: S101 - parameters are read by a step that runs
        return SecretStr(running.stack.resolve(plain))
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


def is_secret(annotation: Any) -> bool:
    """Whether it is `SecretStr`, or that or None: a parameter that is given as a reference."""
    if get_origin(annotation) is Annotated:
        return is_secret(get_args(annotation)[0])
    if get_origin(annotation) in UNIONS:
        return {SecretStr, type(None)} >= set(get_args(annotation)) and SecretStr in get_args(annotation)
    return annotation is SecretStr


def _reference(step: str, name: str, value: Any, annotation: Any) -> str | None:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, str) and (has_reference(value) or not value):
        return value
    if value is None and annotation is not SecretStr:
        return None
    raise ConfigurationError(
        f"The parameter {name!r} of the step '{step}' is a secret: it is given as a reference, never as the value itself. Write "
        f'{name}="{{{{NAME.{name}}}}}" and register the secret with `zenml secret register NAME --{name}=...`, or write '
        f'{name}="{{{{env.X}}}}" for the environment variable X.'
    )


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
