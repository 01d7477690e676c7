"""Steps as classes, and the decorator that makes one of a function."""

from __future__ import annotations

import inspect
import math
import sys
from abc import ABCMeta
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

from pydantic import SecretStr, ValidationError

from zenml.exceptions import ConfigurationError, MissingStepParameterError, StepInterfaceError, nearest
from zenml.model.names import check_name
from zenml.steps.annotations import conforms, describe, describe_value
from zenml.steps.caching import Cache
from zenml.steps.composition import composition, present
from zenml.steps.config import BaseStepConfig
from zenml.steps.context import StepContext
from zenml.steps.hooks import Hook, checked_hook
from zenml.steps.parameters import from_json, is_secret, to_json
from zenml.steps.retry import Retry
from zenml.steps.signature import Signature, names_around

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.artifacts import BaseArtifact
    from zenml.materializers import BaseMaterializer
    from zenml.steps.composition import Before
    from zenml.steps.resources import Resources


class _StepType(ABCMeta):
    """Calling a step's class makes an instance; while a pipeline is put together, it adds the step to the pipeline."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if composition() is None:
            return super().__call__(*args, **kwargs)
        return cls._use(args, kwargs)

    def _use(cls, args: tuple[Any, ...], kwargs: dict[str, Any], *, is_mapped: bool = False) -> Any:
        # A configuration belongs to the step, wherever it stands; everything else to this use of it.
        configs = [value for value in (*args, *kwargs.values()) if isinstance(value, BaseStepConfig)]
        step = super().__call__(*configs)
        given = tuple(value for value in args if not isinstance(value, BaseStepConfig))
        named = {name: value for name, value in kwargs.items() if not isinstance(value, BaseStepConfig)}
        return present("map" if is_mapped else "call").add(step, given, named, is_mapped=is_mapped)

    @property
    def map(cls) -> Callable[..., Any]:
        """In a pipeline's function, `some_step.map(...)`: use this step once for each item of a list."""

        # Properties, because Python prefers them to the methods that instances have.
        def spread(*args: Any, **kwargs: Any) -> Any:
            present("map")
            return cls._use(args, kwargs, is_mapped=True)

        return spread

    @property
    def after(cls) -> Callable[..., None]:
        """In a pipeline's function, `some_step.after(...)`: every use of this step waits for those."""

        def order(*others: Before) -> None:
            present("after").order(cls, others)  # type: ignore[arg-type]  # found by its class

        return order


class BaseStep(metaclass=_StepType):
    """A step: subclass it and write `entrypoint`, or decorate a function with `@step`.

    An instance holds parameters: `trainer(TrainerConfig(rate=0.1))` or `trainer(rate=0.1)`. What the step does is called directly, for
    instance in a test, by `trainer.entrypoint(...)`. The smallest one:

        class Double(BaseStep):
            def entrypoint(self, value: int) -> int:
                return 2 * value

    Raises:
        StepInterfaceError: (at definition) annotations are missing, or the arguments do not make a step.
        ConfigurationError: (at instantiation) parameters are unknown or of the wrong type.
    """

    signature: ClassVar[Signature]
    NAME: ClassVar[str] = ""
    ENABLE_CACHE: ClassVar[bool | None] = None
    OUTPUT_TYPES: ClassVar[Mapping[str, type[BaseArtifact]]] = {}
    STEP_OPERATOR: ClassVar[str | None] = None
    CACHE: ClassVar[Cache | None] = None
    RETRIES: ClassVar[Retry | None] = None
    TIMEOUT: ClassVar[float | timedelta | None] = None
    RESOURCES: ClassVar[Resources | None] = None
    ON_FAILURE: ClassVar[Hook | None] = None
    ON_SUCCESS: ClassVar[Hook | None] = None

    entrypoint: ClassVar[Callable[..., Any]]
    _hooks: ClassVar[tuple[Hook | None, ...]] = (None, None)

    def __init_subclass__(cls, *, local_names: Mapping[str, Any] | None = None) -> None:
        super().__init_subclass__()
        # Statically: a function that stands in a class would come as a method.
        hooks = (inspect.getattr_static(cls, name) for name in ("ON_FAILURE", "ON_SUCCESS"))
        cls._hooks = tuple(checked_hook(hook, cls.__name__) for hook in hooks)
        function = inspect.getattr_static(cls, "entrypoint", None)
        function = getattr(function, "__func__", function)
        if "NAME" not in cls.__dict__:
            cls.NAME = cls.__name__
        if not isinstance(cls.CACHE, Cache | None):
            raise StepInterfaceError(
                f"`cache` of the step '{cls.NAME}' is {cls.CACHE!r}, expected a Cache. Caching is switched by `enable_cache`."
            )
        if function is None or getattr(function, "__isabstractmethod__", False):
            return
        cls.signature = Signature.of(
            function, cls.NAME, local_names=names_around() if local_names is None else local_names
        )
        for output in cls.OUTPUT_TYPES:
            if output not in cls.signature.outputs:
                raise StepInterfaceError(
                    f"output_types of the step '{cls.NAME}' names {output!r}, which is no output of it."
                    f"{nearest(output, cls.signature.outputs)}"
                )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not hasattr(type(self), "signature"):
            raise StepInterfaceError(
                f"The step '{type(self).__name__}' is abstract: it must implement `entrypoint`."
            )
        self.name = self.NAME
        self.enable_cache = (
            self.ENABLE_CACHE if self.ENABLE_CACHE is not None else self.signature.context is None
        )
        self.step_operator = self.STEP_OPERATOR
        self.retries = _retries(self.NAME, self.RETRIES)
        self.timeout = _seconds(self.NAME, self.TIMEOUT)
        self.resources = self.RESOURCES
        self.on_failure, self.on_success = self._hooks
        self.return_materializers: dict[str, tuple[type[BaseMaterializer], ...]] = {}
        self.parameters: dict[str, Any] = {}
        for value in args:
            self._configure(value)
        for name, value in kwargs.items():
            if isinstance(value, BaseStepConfig):
                self._configure(value)
            else:
                self._set(name, value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """In a pipeline's function: use this step. Artifacts are inputs, plain values parameters."""
        pipeline = composition()
        if pipeline is None:
            raise StepInterfaceError(
                f"The step '{self.name}' is called outside of a pipeline's function. To execute its code, call "
                f"`{self.NAME}.entrypoint(...)`."
            )
        return pipeline.add(self, args, kwargs)

    def map(self, *args: Any, **kwargs: Any) -> Any:
        """In a pipeline's function: use this step once for each item of a list.

        Lists, and outputs of steps that are lists, are spread over the instances, item by item; all must have the same length. An output of
        a mapped step gives each instance what its twin gave. Everything else, and what is marked as `unmapped(...)`, every instance gets
        as it is. The outputs are those of all instances: a step that takes one gets a list.

        Raises:
            StepInterfaceError: there is nothing to map over, or the items are not what the step takes.
        """
        return present("map").add(self, args, kwargs, is_mapped=True)

    def after(self, *others: Before) -> Self:
        """In a pipeline's function: let this step start only when `others` have ended."""
        present("after").order(self, others)
        return self

    def with_return_materializers(
        self,
        materializers: type[BaseMaterializer]
        | Mapping[str, type[BaseMaterializer] | Sequence[type[BaseMaterializer]]],
    ) -> Self:
        """Choose the materializer of every output, or of those named; several are tried in order. Raises StepInterfaceError."""
        from zenml.materializers import BaseMaterializer

        chosen = (
            materializers
            if isinstance(materializers, Mapping)
            else dict.fromkeys(self.signature.outputs, materializers)
        )
        for output, given in chosen.items():
            if output not in self.signature.outputs:
                raise StepInterfaceError(
                    f"The step '{self.name}' has no output {output!r} to choose a materializer for."
                    f"{nearest(output, self.signature.outputs)}"
                )
            classes = tuple(given) if isinstance(given, Sequence) else (given,)
            for class_ in classes:
                if not _is_subclass(class_, BaseMaterializer):
                    raise StepInterfaceError(
                        f"{class_!r} cannot be the materializer of the output {output!r} of the step '{self.name}': "
                        f"expected a subclass of BaseMaterializer."
                    )
            self.return_materializers[output] = classes
        return self

    def copy(self) -> Self:
        """A step of the same class and settings, which can be changed by itself."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.return_materializers = dict(self.return_materializers)
        twin.parameters = dict(self.parameters)
        return twin

    @property
    def parameter_types(self) -> dict[str, Any]:
        """The annotations of everything that may be a parameter: plain arguments, and the fields of the configuration."""
        types = {name: argument.annotation for name, argument in self.signature.arguments.items()}
        if self.signature.config:
            types |= {name: field.annotation for name, field in self.signature.config[1].model_fields.items()}
        return types

    @property
    def secret_parameters(self) -> tuple[str, ...]:
        """The parameters that are given as references to secrets: those annotated with `SecretStr`."""
        return tuple(name for name, annotation in self.parameter_types.items() if is_secret(annotation))

    def complete_parameters(
        self, name: str, inputs: Mapping[str, Any], values: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The parameters of a use of this step called `name`, as JSON data, in declared order; `values` win over its own.

        Raises:
            MissingStepParameterError: a field of the configuration has no value.
            StepInterfaceError: an argument has neither input nor value.
            ConfigurationError: a value is of the wrong type, or cannot be written as JSON.
        """
        given = {**self.parameters, **values}
        plain: dict[str, Any] = {}
        for argument, declared in self.signature.arguments.items():
            if argument in inputs:
                continue
            if argument not in given and declared.is_required:
                raise StepInterfaceError(
                    f"The step '{name}' has no input for {argument!r}: give it the output of a step, or a value of type "
                    f"{describe(declared.annotation)}."
                )
            value = given.get(argument, declared.default)
            if value is None and argument not in given:
                plain[argument] = None  # `x: int = None` is common
            else:
                plain[argument] = to_json(name, argument, value, declared.annotation)
        if self.signature.config:
            plain |= self._config_parameters(name, given)
        return plain

    def run_entrypoint(self, inputs: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Call the step's function; gives its outputs by name, in declared order. Must be called inside of a running step.

        Raises:
            StepInterfaceError: inputs or outputs are not what the step declares.
            Exception: whatever the function raises.
        """
        arguments: dict[str, Any] = {}
        for name, declared in self.signature.arguments.items():
            if name in inputs:
                self._check_input(name, inputs[name], declared.annotation)
                arguments[name] = inputs[name]
            elif name in parameters:
                plain = parameters[name]
                unset = plain is None and declared.default is None
                arguments[name] = None if unset else from_json(self.name, name, plain, declared.annotation)
        if self.signature.config:
            name, class_ = self.signature.config
            given = {k: parameters[k] for k in class_.model_fields if k in parameters}
            for field in self.secret_parameters:
                if field in given:
                    given[field] = from_json(self.name, field, given[field], SecretStr | None)
            arguments[name] = class_.model_validate(given)
        if self.signature.context:
            arguments[self.signature.context] = StepContext(self.signature.outputs)
        return self._split(self.entrypoint(**arguments))

    @classmethod
    def load(cls, source: str, root: Path) -> BaseStep:
        """The step of that import path, imported with `root` first on the path. Raises StepInterfaceError."""
        module, _, qualname = source.partition(":")
        # A program's own folder is on the path when it runs: what lies beside it is imported from there.
        folder = root.joinpath(*module.split(".")[:-1])
        for path in (folder, root):
            if str(path) not in sys.path and not (path / "__init__.py").exists():
                sys.path.insert(0, str(path))
        try:
            found: Any = import_module(module)
            for part in qualname.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise StepInterfaceError(
                f"The step {source!r} cannot be imported from {str(root)!r}: {error}. A step that runs in another process must be defined "
                "at the top of a module, and what runs the pipeline must stand below `if __name__ == '__main__':`."
            ) from error
        step: BaseStep = found()
        return step

    @classmethod
    def code_object(cls) -> Any:
        """What the step's code is: its function, or, for one that is written as a class, the class."""
        static = inspect.getattr_static(cls, "entrypoint")
        return static.__func__ if isinstance(static, staticmethod) else cls

    def _configure(self, config: Any) -> None:
        expected = self.signature.config
        if expected is None or not isinstance(config, expected[1]):
            takes = f"takes a {expected[1].__name__}" if expected else "takes no configuration"
            raise StepInterfaceError(
                f"The step '{self.name}' {takes}, but a {type(config).__name__} is given. Inputs are given in the "
                f"pipeline's function, parameters by name."
            )
        self.parameters |= {name: getattr(config, name) for name in type(config).model_fields}

    def _set(self, name: str, value: Any) -> None:
        types = self.parameter_types
        if name not in types:
            raise StepInterfaceError(
                f"The step '{self.name}' has no parameter {name!r}.{nearest(name, types)}"
            )
        to_json(self.name, name, value, types[name])  # refused here, where the mistake stands
        self.parameters[name] = value

    def _config_parameters(self, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
        assert self.signature.config is not None  # noqa: S101  asked by the caller
        class_ = self.signature.config[1]
        values = {field: given[field] for field in class_.model_fields if field in given}
        try:
            config = class_.model_validate(values)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            missing = [str(detail["loc"][0]) for detail in details if detail["type"] == "missing"]
            if len(missing) == len(details):
                raise MissingStepParameterError(
                    f"The step '{name}' has no value for {', '.join(map(repr, missing))}: give a {class_.__name__}, or "
                    f"set it in the configuration file."
                ) from None
            lines = [f"  {'.'.join(map(str, d['loc']))}: {d['msg']}" for d in details]
            raise ConfigurationError(
                f"The step '{name}' cannot be configured so:\n" + "\n".join(lines)
            ) from None
        return {
            field: to_json(name, field, getattr(config, field), info.annotation)
            for field, info in class_.model_fields.items()
        }

    def _check_input(self, name: str, value: Any, annotation: Any) -> None:
        if name not in self.signature.raw_inputs and not conforms(value, annotation, deep=False):
            raise StepInterfaceError(
                f"Wrong type for input '{name}' of step '{self.name}' (expected type: {describe(annotation)}, "
                f"actual type: {describe(type(value))})."
            )

    def _split(self, result: Any) -> dict[str, Any]:
        outputs = self.signature.outputs
        if not outputs:
            if result is not None:
                raise StepInterfaceError(
                    f"The step '{self.name}' is declared to return None, but it returned a {describe(type(result))}."
                )
            return {}
        if len(outputs) == 1:
            values = {next(iter(outputs)): result}
        else:
            if not isinstance(result, (tuple, list)) or len(result) != len(outputs):
                count = (
                    f"{len(result)} values"
                    if isinstance(result, (tuple, list))
                    else f"a {describe(type(result))}"
                )
                raise StepInterfaceError(
                    f"The step '{self.name}' has {len(outputs)} outputs ({', '.join(outputs)}), so it must return a "
                    f"tuple of {len(outputs)} values; "
                    f"it returned {count}."
                )
            values = dict(zip(outputs, result, strict=True))
        for name, value in values.items():
            if not conforms(value, outputs[name]):
                raise StepInterfaceError(
                    f"Wrong type for output '{name}' of step '{self.name}' (expected type: {describe(outputs[name])}, "
                    f"actual type: {describe_value(value)})."
                )
        return values


@overload
def step(
    function: Callable[..., Any], /
) -> Any: ...  # a class that gives outputs when it is called in a pipeline
@overload
def step(
    *,
    name: str | None = None,
    enable_cache: bool | None = None,
    output_types: Mapping[str, type[BaseArtifact]] | None = None,
    step_operator: str | None = None,
    custom_step_operator: str | None = None,
    cache: Cache | None = None,
    retries: Retry | int | None = None,
    timeout: float | timedelta | None = None,
    resources: Resources | None = None,
    on_failure: Hook | None = None,
    on_success: Hook | None = None,
) -> Callable[[Callable[..., Any]], Any]: ...
def step(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    enable_cache: bool | None = None,
    output_types: Mapping[str, type[BaseArtifact]] | None = None,
    step_operator: str | None = None,
    custom_step_operator: str | None = None,
    cache: Cache | None = None,
    retries: Retry | int | None = None,
    timeout: float | timedelta | None = None,
    resources: Resources | None = None,
    on_failure: Hook | None = None,
    on_success: Hook | None = None,
) -> Any:
    """Make a step of a function whose arguments and result are annotated.

    Args:
        function: the function; without it, a decorator is returned.
        name: the step's name, the function's by default.
        enable_cache: whether an earlier result may be taken; by default yes, unless the step takes a `StepContext`.
        output_types: the kind of artifact of each output, a class of `zenml.artifacts`.
        step_operator: name of the step operator that executes it.
        custom_step_operator: the same, under its older name.
        cache: what an earlier result depends on besides code, parameters and inputs, and for how long it may be taken.
        retries: when a failed attempt is followed by another; a number n stands for `Retry(attempts=n + 1)`.
        timeout: seconds after which an attempt is ended, whatever it does.
        resources: what it needs while it runs.
        on_failure: a function that is called with an `Ending` when the step has failed for good.
        on_success: the same, when it really ran to its end.

    Raises:
        StepInterfaceError: annotations are missing, or the arguments do not make a step.
    """
    local_names = names_around()

    def decorate(function: Callable[..., Any]) -> type[BaseStep]:
        if not inspect.isfunction(function):
            raise StepInterfaceError(
                f"@step is put on {function!r}: expected a function. Write a class as a subclass of BaseStep."
            )
        namespace = {
            "entrypoint": staticmethod(function),
            "NAME": check_name(function.__name__ if name is None else name, "step"),
            "ENABLE_CACHE": enable_cache,
            "OUTPUT_TYPES": dict(output_types or {}),
            "STEP_OPERATOR": step_operator or custom_step_operator,
            "CACHE": cache,
            "RETRIES": _retries(function.__name__, retries),
            "TIMEOUT": _seconds(function.__name__, timeout),
            "RESOURCES": resources,
            "ON_FAILURE": checked_hook(on_failure, function.__name__),
            "ON_SUCCESS": checked_hook(on_success, function.__name__),
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
        }
        return _make(function.__name__, BaseStep, namespace, local_names)

    return decorate if function is None else decorate(function)


def clone_step(step_class: type[BaseStep], step_name: str) -> type[BaseStep]:
    """A step that does the same under another name."""
    if not _is_subclass(step_class, BaseStep):
        raise StepInterfaceError(f"{step_class!r} cannot be cloned: expected the class of a step.")
    namespace = {"NAME": check_name(step_name, "step"), "__module__": step_class.__module__}
    return _make(step_class.__name__, step_class, namespace, {})


def _make(
    name: str, base: type[BaseStep], namespace: dict[str, Any], local_names: Mapping[str, Any]
) -> type[BaseStep]:
    class_: Any = _StepType(name, (base,), namespace, local_names=local_names)
    made: type[BaseStep] = class_
    return made


def _retries(step: str, given: Any) -> Retry | None:
    if given is None or isinstance(given, Retry):
        return given
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise StepInterfaceError(
            f"`retries` of the step '{step}' is {given!r}, expected a Retry, or a number."
        )
    return Retry(attempts=given + 1)


def _seconds(step: str, given: Any) -> float | None:
    seconds = given.total_seconds() if isinstance(given, timedelta) else given
    if seconds is None or (
        isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and 0 < seconds < math.inf
    ):
        return seconds
    raise StepInterfaceError(f"`timeout` of the step '{step}' is {given!r}, expected seconds, more than 0.")


def _is_subclass(thing: Any, class_: type[Any]) -> bool:
    return inspect.isclass(thing) and issubclass(thing, class_)
