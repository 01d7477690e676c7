"""What a step's function takes and gives, read from its annotations."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import GenericAlias
from typing import Any, get_args, get_origin, get_type_hints

from zenml.artifacts import BaseArtifact
from zenml.exceptions import StepInterfaceError
from zenml.steps.config import BaseStepConfig
from zenml.steps.context import StepContext
from zenml.steps.output import Output

SINGLE_OUTPUT = "output"
"""Name of an output that the step does not name."""


@dataclass(frozen=True)
class Argument:
    """An argument that is fed by an artifact or given as a plain value. `default` is `inspect.Parameter.empty` if there is none."""

    annotation: Any
    default: Any = inspect.Parameter.empty

    @property
    def is_required(self) -> bool:
        """Whether it must be given."""
        return self.default is inspect.Parameter.empty


@dataclass(frozen=True)
class Signature:
    """Arguments and outputs of a step, in declared order, and the arguments that take its configuration and its context."""

    arguments: Mapping[str, Argument] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    config: tuple[str, type[BaseStepConfig]] | None = None
    context: str | None = None

    @property
    def raw_inputs(self) -> frozenset[str]:
        """The arguments that take the artifact itself instead of its value."""
        return frozenset(
            name
            for name, argument in self.arguments.items()
            if inspect.isclass(argument.annotation) and issubclass(argument.annotation, BaseArtifact)
        )

    @classmethod
    def of(
        cls, function: Callable[..., Any], name: str, *, local_names: Mapping[str, Any] | None = None
    ) -> Signature:
        """The signature of a step's function; annotations given as text are looked up in its module and in `local_names`.

        Raises:
            StepInterfaceError: an annotation is missing or cannot be resolved, or the arguments do not make a step.
        """
        where = _where(name, function)
        _refuse_what_does_not_return(function, where)
        annotations = _annotations(function, where, local_names)
        arguments: dict[str, Argument] = {}
        config: tuple[str, type[BaseStepConfig]] | None = None
        context: str | None = None
        for parameter in inspect.signature(function).parameters.values():
            argument = parameter.name
            if argument == "self" and not arguments:
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                raise StepInterfaceError(f"{where} takes *{argument}: a step names each of its arguments.")
            if argument not in annotations:
                raise StepInterfaceError(
                    f"{where} has no annotation for the argument {argument!r}: write `{argument}: SomeType`."
                )
            annotation = annotations[argument]
            if inspect.isclass(annotation) and issubclass(annotation, BaseStepConfig):
                if config is not None:
                    raise StepInterfaceError(
                        f"{where} takes two configurations, {config[0]!r} and {argument!r}: it may take one."
                    )
                config = (argument, annotation)
            elif annotation is StepContext:
                if context is not None:
                    raise StepInterfaceError(
                        f"{where} takes two contexts, {context!r} and {argument!r}: it may take one."
                    )
                context = argument
            else:
                arguments[argument] = Argument(annotation, parameter.default)
        if "return" not in annotations:
            raise StepInterfaceError(
                f"{where} has no annotation for what it returns: write `-> SomeType`, or `-> None`."
            )
        outputs = _outputs(annotations["return"])
        taken = {*arguments, *(config[1].model_fields if config else ())}
        if config and (both := sorted(set(arguments) & set(config[1].model_fields))):
            raise StepInterfaceError(
                f"{where} has the name {both[0]!r} twice: as an argument and in {config[1].__name__}."
            )
        if both := sorted(taken & set(outputs)):
            raise StepInterfaceError(
                f"{where} has the name {both[0]!r} twice: for something that it takes and for an output."
            )
        return cls(arguments, outputs, config, context)


def _refuse_what_does_not_return(function: Callable[..., Any], where: str) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise StepInterfaceError(
            f"{where} is asynchronous: write it as a plain function that calls `asyncio.run(...)`."
        )
    if inspect.isgeneratorfunction(function):
        raise StepInterfaceError(
            f"{where} yields its values: collect them, in a list for instance, and return that."
        )


def _outputs(annotation: Any) -> dict[str, Any]:
    if annotation in (None, type(None)):
        return {}
    if isinstance(annotation, Output):
        return dict(annotation.items())
    if inspect.isclass(annotation) and issubclass(annotation, tuple) and hasattr(annotation, "_fields"):
        types = get_type_hints(annotation, include_extras=True)
        return {name: types.get(name, Any) for name in annotation._fields}
    if get_origin(annotation) is tuple and get_args(annotation) and Ellipsis not in get_args(annotation):
        return {f"output_{position}": type_ for position, type_ in enumerate(get_args(annotation))}
    return {SINGLE_OUTPUT: annotation}


def _annotations(
    function: Callable[..., Any], where: str, local_names: Mapping[str, Any] | None
) -> dict[str, Any]:
    function = inspect.unwrap(function)
    names = dict(local_names or {})
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            names[name] = cell.cell_contents
        except ValueError:  # not bound yet
            continue
    module = function.__globals__
    try:
        found = inspect.get_annotations(function, globals=module, locals=names, eval_str=True)
        return {name: _resolved(annotation, module, names) for name, annotation in found.items()}
    except NameError as error:
        raise StepInterfaceError(
            f"{where} has an annotation that cannot be resolved: {error}. Define or import the name in the step's module, "
            "outside of `if TYPE_CHECKING`."
        ) from error
    except (SyntaxError, TypeError, AttributeError) as error:
        raise StepInterfaceError(f"{where} has an annotation that cannot be resolved: {error}.") from error


def _resolved(annotation: Any, module: dict[str, Any], names: dict[str, Any]) -> Any:
    """The annotation without any text in it: `list["Model"]`, or text within text under `from __future__ import annotations`."""
    if isinstance(annotation, Output):
        return Output(*((name, _resolved(type_, module, names)) for name, type_ in annotation.items()))
    if annotation is None:
        return None

    def carrier() -> None: ...

    carrier.__annotations__ = {"it": annotation}
    found = get_type_hints(carrier, module, names, include_extras=True)["it"]
    if sys.version_info < (3, 11) and isinstance(
        found, GenericAlias
    ):  # it leaves text in `list["Model"]` as it is
        parts = (
            _resolved(part, module, names) if isinstance(part, (str, GenericAlias)) else part
            for part in get_args(found)
        )
        return found.__origin__[tuple(parts)]  # type: ignore[index]  # a generic class, as it is the origin of one
    return found


def _where(name: str, function: Callable[..., Any]) -> str:
    code = inspect.unwrap(function).__code__
    return f"The step '{name}' ({code.co_filename}:{code.co_firstlineno})"


def names_around() -> dict[str, Any]:
    """The local names of whoever calls the framework, for annotations that are text."""
    frame = sys._getframe(1)  # noqa: SLF001  what is needed has no other name
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in (
        "zenml",
        "abc",
    ):
        frame = frame.f_back
    return dict(frame.f_locals)
