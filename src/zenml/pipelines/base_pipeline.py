"""Pipelines as classes, and the decorator that makes one of a function."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload
from uuid import uuid4

from pydantic import BaseModel

from zenml.context import running_step
from zenml.exceptions import (
    ConfigurationError,
    DoesNotExistException,
    DuplicatedConfigurationError,
    PipelineConfigurationError,
    PipelineInterfaceError,
    RunError,
    StackValidationError,
    StepInterfaceError,
    UnreadableFileError,
    nearest,
)
from zenml.logger import get_logger, show_messages
from zenml.model.json import canonical
from zenml.model.names import check_name
from zenml.pipelines.configuration import PipelineSettings, StepSettings, read_settings
from zenml.steps import BaseStep
from zenml.steps.composition import Composition, Invocation, composing, composition
from zenml.steps.parameters import from_text

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.pipelines.compiler import Compiled
    from zenml.pipelines.schedule import Schedule
    from zenml.post_execution import PipelineRunView
    from zenml.stack import Stack

logger = get_logger("zenml.pipelines")

# In English, whatever the locale: a run's name is no text for people alone.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class BasePipeline:
    """A pipeline: subclass it and write `connect`, or decorate a function with `@pipeline`.

    `connect` calls steps: those that are passed in when the pipeline is instantiated, or any by name. It is executed whenever the pipeline
    is put together, and only then: the values that it handles are outputs of steps that have not run. The smallest one:

        class Doubling(BasePipeline):
            def connect(self):
                double(one())

    Raises:
        PipelineInterfaceError: (at instantiation) steps are missing, unexpected, or given as classes.
    """

    NAME: ClassVar[str] = ""
    ENABLE_CACHE: ClassVar[bool] = True
    REQUIRED_INTEGRATIONS: ClassVar[tuple[str, ...]] = ()
    REQUIREMENTS: ClassVar[tuple[str, ...]] = ()
    DOCKERIGNORE_FILE: ClassVar[str | None] = None
    SECRETS: ClassVar[tuple[str, ...]] = ()

    connect: ClassVar[Callable[..., None]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if not hasattr(type(self), "connect"):
            raise PipelineInterfaceError(
                f"The pipeline '{type(self).__name__}' is abstract: it must implement `connect`."
            )
        self.name = self.NAME or type(self).__name__
        self._refuse_inside()
        self.enable_cache = self.ENABLE_CACHE
        self.required_integrations = self.REQUIRED_INTEGRATIONS
        self.dockerignore_file = self.DOCKERIGNORE_FILE
        self.secrets = self.SECRETS
        self._arguments = self._bind(args, kwargs)
        self._settings: list[tuple[PipelineSettings, bool]] = []
        _integration_requirements(self.required_integrations)  # unknown ones are refused here

    @property
    def steps(self) -> dict[str, BaseStep]:
        """The steps that were passed in, by the name of their argument."""
        return {name: value for name, value in self._arguments.items() if isinstance(value, BaseStep)}

    @property
    def requirements(self) -> set[str]:
        """Pip requirements.

        Those of the pipeline, and of the integrations that it requires. Raises DoesNotExistException for an
        unknown integration.
        """
        return {*self.REQUIREMENTS, *_integration_requirements(self.required_integrations)}

    def compose(self) -> list[Invocation]:
        """The uses of steps that this pipeline is made of, in the order of the calls, with the parameters of configuration files.

        Raises:
            PipelineInterfaceError, StepInterfaceError: the pipeline cannot be put together so.
        """
        self._refuse_inside()
        composed = Composition(self.name, {id(step): name for name, step in self.steps.items()})
        with composing(composed):
            self.connect(**self._arguments)
        invocations = composed.finish()
        called = {id(invocation.step) for invocation in invocations}
        if unused := [name for name, step in self.steps.items() if id(step) not in called]:
            raise PipelineInterfaceError(
                f"The pipeline '{self.name}' is given the step {unused[0]!r}, but never calls it: call it, or take the argument away."
            )
        for settings, overwrite in self._settings:
            _apply(settings, invocations, self.name, overwrite=overwrite)
        return invocations

    def with_config(self, config_file: str | Path, overwrite_step_parameters: bool = False) -> Self:
        """Take parameters of steps, and whether to cache, from a YAML file.

        Args:
            config_file: `steps: {name: {parameters: {...}, enable_cache: ...}}`, and `enable_cache` for the pipeline.
            overwrite_step_parameters: whether the file wins over parameters that are set in code.

        Raises:
            UnreadableFileError: the file cannot be read.
            PipelineConfigurationError: it names what the pipeline does not have.
            DuplicatedConfigurationError: a parameter is set in code as well.
        """
        settings = read_settings(config_file)
        self._settings.append((settings, overwrite_step_parameters))
        try:
            self.compose()
        except Exception:
            self._settings.pop()
            raise
        if settings.enable_cache is not None:
            self.enable_cache = settings.enable_cache
        return self

    def run(
        self,
        *,
        run_name: str | None = None,
        schedule: Schedule | None = None,
        enable_cache: bool | None = None,
        **runtime_configuration: Any,
    ) -> PipelineRunView:
        """Run on the active stack, and wait for the end.

        Args:
            run_name: unique in the stack's metadata store; by default the pipeline's name and the time.
            schedule: when to run, for orchestrators that can.
            enable_cache: wins over the pipeline's own setting for this run; a step's own `False` still holds.
            runtime_configuration: whatever the stack's components understand: JSON data or pydantic models, handed to the
                `prepare_pipeline_deployment` of each.

        Raises:
            StackValidationError: the stack cannot run this pipeline.
            ConfigurationError, StepInterfaceError, PipelineInterfaceError: the pipeline cannot be put together so.
            Exception: the first failing step's own, when the others have ended; a note names run and step.
        """
        show_messages()
        if os.environ.get("ZENML_PREVENT_PIPELINE_EXECUTION", "").lower() in ("1", "y", "yes", "true"):
            # For processes that import a program to get at its steps; they do not look at the result.
            logger.warning(
                "The pipeline `%s` is not run: ZENML_PREVENT_PIPELINE_EXECUTION is set.", self.name
            )
            return None  # type: ignore[return-value]
        if step := running_step():
            raise RunError(
                f"The step '{step.step_name}' cannot run the pipeline '{self.name}': a step does not start "
                f"pipelines. Call what its steps do directly."
            )
        from zenml.repository import Repository

        repository = Repository()
        stack = repository.active_stack
        cached = self.enable_cache if enable_cache is None else enable_cache
        logger.info("Creating run for pipeline: `%s`", self.name)
        logger.info("Cache %s for pipeline `%s`", "enabled" if cached else "disabled", self.name)
        self._check(stack, schedule)
        options = dict(runtime_configuration)
        stack.prepare_pipeline_deployment(self, options)
        compiled = self._compile(
            stack,
            run_name=check_name(_run_name(self.name) if run_name is None else run_name, "run"),
            runtime_configuration=_plain_options(options),
            enable_cache=cached,
            flavors=repository.registry.flavors(),
            root=repository.root,
        )
        self._check_operators(stack, compiled)
        logger.info("Using stack `%s` to run pipeline `%s`...", stack.name, self.name)
        return _execute(compiled, stack)

    def _refuse_inside(self) -> None:
        if composition() is not None:
            raise PipelineInterfaceError(
                f"The pipeline '{self.name}' is used inside of another one's function: call steps there."
            )

    def _bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        parameters = dict(inspect.signature(self.connect).parameters)
        try:
            bound = inspect.signature(self.connect).bind_partial(*args, **kwargs)
        except TypeError as error:
            unknown = next((name for name in kwargs if name not in parameters), None)
            hint = nearest(unknown, parameters) if unknown else ""
            raise PipelineInterfaceError(
                f"The pipeline '{self.name}' cannot be made so: {error}.{hint} It takes: {', '.join(parameters) or 'nothing'}."
            ) from None
        bound.apply_defaults()
        seen: set[int] = set()
        for name, value in bound.arguments.items():
            if isinstance(value, BaseStep):
                # One that is given twice stands for two steps, each with the name of its argument.
                bound.arguments[name] = value.copy() if id(value) in seen else value
                seen.add(id(value))
            if inspect.isclass(value) and issubclass(value, BaseStep):
                raise PipelineInterfaceError(
                    f"The pipeline '{self.name}' is given the class of a step for {name!r}: give an instance, `{name}={value.__name__}()`."
                )
        if missing := [n for n, p in parameters.items() if n not in bound.arguments and p.default is p.empty]:
            raise PipelineInterfaceError(
                f"The pipeline '{self.name}' is not given {', '.join(map(repr, missing))}: "
                f"give each of them, as in `{type(self).__name__}({missing[0]}=...)`."
            )
        return dict(bound.arguments)

    def _check(self, stack: Stack, schedule: Schedule | None) -> None:
        if schedule is not None:
            raise StackValidationError(
                f"The orchestrator '{stack.orchestrator.name}' of flavor '{stack.orchestrator.FLAVOR}' cannot run pipelines by a schedule: "
                "run this one without, from cron for instance, or use an orchestrator that can."
            )
        stack.validate()
        stack.check_running()

    def _check_operators(self, stack: Stack, compiled: Compiled) -> None:
        present = {stack.step_operator.name} if stack.step_operator else set()
        for spec in compiled.deployment.steps:
            if spec.step_operator and spec.step_operator not in present:
                raise StackValidationError(
                    f"Step '{spec.name}' requires custom step operator '{spec.step_operator}' which is not configured in the active stack. "
                    f"Available step operators: {', '.join(sorted(present)) or 'none'}."
                )
            class_ = type(compiled.steps[spec.name])
            file = getattr(sys.modules.get(class_.__module__), "__file__", None)
            in_a_file = file is not None and Path(file).is_file()  # standard input has a name, too
            if spec.step_operator and (not in_a_file or "<locals>" in class_.__qualname__):
                raise StepInterfaceError(
                    f"The step '{spec.name}' cannot be executed by the step operator '{spec.step_operator}': it is defined inside of a "
                    "function or in no file, where another process cannot import it from. Define it at the top of a module."
                )

    def _compile(
        self, stack: Stack, *, flavors: Iterable[Any], root: Path | None, **arguments: Any
    ) -> Compiled:
        from zenml.pipelines.compiler import compile_pipeline

        folder = root or _main_folder()
        return compile_pipeline(
            self,
            stack=stack.to_spec(flavors),
            run_uuid=uuid4(),
            source_root=str(folder),
            git_sha=_git_sha(folder),
            **arguments,
        )


def _execute(compiled: Compiled, stack: Stack) -> PipelineRunView:
    from zenml.engine import execute
    from zenml.post_execution import run_view

    result = execute(compiled.deployment, compiled.steps, stack)
    if result.exception is not None:
        _add_note(
            result.exception, f"In the step '{result.failed}' of the run '{compiled.deployment.run_name}'."
        )
        raise result.exception
    return run_view(stack.metadata_store, stack.artifact_store, result.run_id)


def _add_note(error: BaseException, note: str) -> None:
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        notes: list[str] = getattr(error, "__notes__", [])
        vars(error)["__notes__"] = [*notes, note]


@overload
def pipeline(function: Callable[..., None], /) -> type[BasePipeline]: ...
@overload
def pipeline(
    *,
    name: str | None = None,
    enable_cache: bool = True,
    required_integrations: Sequence[str] = (),
    requirements: str | Path | Sequence[str] | None = None,
    requirements_file: str | Path | None = None,
    dockerignore_file: str | None = None,
    secrets: Sequence[str] = (),
) -> Callable[[Callable[..., None]], type[BasePipeline]]: ...
def pipeline(
    function: Callable[..., None] | None = None,
    /,
    *,
    name: str | None = None,
    enable_cache: bool = True,
    required_integrations: Sequence[str] = (),
    requirements: str | Path | Sequence[str] | None = None,
    requirements_file: str | Path | None = None,
    dockerignore_file: str | None = None,
    secrets: Sequence[str] = (),
) -> Any:
    """Make a pipeline of a function that calls steps.

    Args:
        function: the function; without it, a decorator is returned.
        name: the pipeline's name, the function's by default.
        enable_cache: whether its steps may take earlier results.
        required_integrations: names of integrations whose packages the steps need.
        requirements: pip requirements of the steps: a list, or the path of a file.
        requirements_file: the path of a file with requirements.
        dockerignore_file: what to leave out of images, in the form of a .dockerignore.
        secrets: names of the secrets that the steps need.

    Raises:
        UnreadableFileError: a requirements file cannot be read.
    """

    def decorate(function: Callable[..., None]) -> type[BasePipeline]:
        if not inspect.isfunction(function):
            raise PipelineInterfaceError(
                f"@pipeline is put on {function!r}: expected a function. Write a class as a subclass of BasePipeline."
            )
        lines = _requirement_lines(requirements) | _requirement_lines(
            None if requirements_file is None else Path(requirements_file)
        )
        namespace = {
            "connect": staticmethod(function),
            "NAME": check_name(function.__name__ if name is None else name, "pipeline"),
            "ENABLE_CACHE": enable_cache,
            "REQUIRED_INTEGRATIONS": tuple(required_integrations),
            "REQUIREMENTS": tuple(sorted(lines)),
            "DOCKERIGNORE_FILE": dockerignore_file,
            "SECRETS": tuple(secrets),
            "__doc__": function.__doc__,
            "__module__": function.__module__,
            "__qualname__": function.__qualname__,
        }
        return type(function.__name__, (BasePipeline,), namespace)

    return decorate if function is None else decorate(function)


def _apply(
    settings: PipelineSettings, invocations: Sequence[Invocation], pipeline: str, *, overwrite: bool
) -> None:
    known = {invocation.name: invocation for invocation in invocations}
    for name, step in settings.steps.items():
        if name not in known:
            raise PipelineConfigurationError(
                f"{settings.path}: the pipeline '{pipeline}' has no step '{name}'.{nearest(name, known)}"
            )
        _apply_step(settings.path, step, known[name], overwrite=overwrite)


def _apply_step(path: Path, settings: StepSettings, invocation: Invocation, *, overwrite: bool) -> None:
    step, types = invocation.step, invocation.step.parameter_types
    for name, value in settings.parameters.items():
        if name not in types:
            raise PipelineConfigurationError(
                f"{path}: the step '{invocation.name}' has no parameter {name!r}.{nearest(name, types)}"
            )
        if name in invocation.inputs:
            raise PipelineConfigurationError(
                f"{path}: {name!r} of the step '{invocation.name}' is the output of another step: it cannot be set."
            )
        if not overwrite and (name in invocation.parameters or name in step.parameters):
            raise DuplicatedConfigurationError(
                f"{path}: the parameter {name!r} of the step '{invocation.name}' is set in code as well: set it in one place, "
                "or let the file win with overwrite_step_parameters=True."
            )
        invocation.parameters[name] = from_text(value, types[name])
    if settings.enable_cache is not None:
        invocation.step = step.copy()  # it may be part of other pipelines
        invocation.step.enable_cache = settings.enable_cache


def _requirement_lines(given: str | Path | Sequence[str] | None) -> set[str]:
    if given is None:
        return set()
    if isinstance(given, (str, Path)):
        try:
            given = Path(given).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UnreadableFileError(
                f"The requirements file {str(given)!r} cannot be read: {error}."
            ) from error
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in given)
    return {line for line in lines if line}


def _integration_requirements(names: Sequence[str]) -> set[str]:
    if not names:
        return set()
    from zenml.stack.integrations import integrations

    known = {integration.name: integration for integration in integrations()}
    if unknown := [name for name in names if name not in known]:
        raise DoesNotExistException(f"There is no integration '{unknown[0]}'.{nearest(unknown[0], known)}")
    return {requirement for name in names for requirement in known[name].requirements}


def _plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    plain = {}
    for name, value in options.items():
        plain[name] = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        try:
            canonical(plain[name])
        except (TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The option {name!r} of run() is a {type(value).__qualname__}: {error}. Give JSON data or a pydantic model."
            ) from error
    return plain


def _run_name(pipeline: str) -> str:
    now = datetime.now()  # noqa: DTZ005  a name for people: local time
    return f"{pipeline}-{now:%d}_{_MONTHS[now.month - 1]}_{now:%y-%H_%M_%S_%f}"


def _main_folder() -> Path:
    file = getattr(sys.modules.get("__main__"), "__file__", None)
    return Path(file).resolve().parent if file else Path.cwd()


def _git_sha(folder: Path) -> str | None:
    """The commit that is checked out, if nothing differs from it."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        return None if git("status", "--porcelain") else git("rev-parse", "HEAD")
    except (OSError, subprocess.SubprocessError):
        return None
