"""Pipelines as classes, and the decorator that makes one of a function."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from zenml.exceptions import (
    DoesNotExistException,
    DuplicatedConfigurationError,
    PipelineConfigurationError,
    PipelineInterfaceError,
    UnreadableFileError,
    nearest,
)
from zenml.images import DockerSettings
from zenml.model.names import check_name
from zenml.pipelines.configuration import PipelineSettings, StepSettings, read_settings
from zenml.pipelines.running import is_prevented, start
from zenml.steps import BaseStep
from zenml.steps.composition import Composition, Invocation, composing, composition
from zenml.steps.hooks import Hook, checked_hook
from zenml.steps.parameters import from_text

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.model.deployment import DockerSpec
    from zenml.model.plan import Plan
    from zenml.pipelines.schedule import Schedule
    from zenml.post_execution import PipelineRunView


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
    DOCKER_SETTINGS: ClassVar[DockerSettings | None] = None
    SECRETS: ClassVar[tuple[str, ...]] = ()
    ON_FAILURE: ClassVar[Hook | None] = None
    ON_SUCCESS: ClassVar[Hook | None] = None

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
        self.docker_settings = self.DOCKER_SETTINGS or DockerSettings()
        self.secrets = self.SECRETS
        self.on_failure = checked_hook(inspect.getattr_static(self, "ON_FAILURE"), self.name)
        self.on_success = checked_hook(inspect.getattr_static(self, "ON_SUCCESS"), self.name)
        self.arguments = self._bind(args, kwargs)
        self.settings: list[tuple[PipelineSettings, bool]] = []
        _ = self.requirements  # unknown integrations are refused here

    @property
    def steps(self) -> dict[str, BaseStep]:
        """The steps that were passed in, by the name of their argument."""
        return {name: value for name, value in self.arguments.items() if isinstance(value, BaseStep)}

    @property
    def requirements(self) -> set[str]:
        """Pip requirements.

        Those of the pipeline, and of the integrations that it requires. Raises DoesNotExistException for an
        unknown integration, UnreadableFileError for a file.
        """
        settings = self.docker_settings
        integrations = [*self.required_integrations, *settings.required_integrations]
        return {
            *self.REQUIREMENTS,
            *_requirement_lines(settings.requirements),
            *_integration_requirements(integrations),
        }

    @property
    def docker_spec(self) -> DockerSpec:
        """How its images are made, as plain data. Raises DuplicatedConfigurationError."""
        spec = self.docker_settings.spec()
        if self.dockerignore_file and spec.dockerignore_file:
            raise DuplicatedConfigurationError(
                f"The pipeline '{self.name}' names a dockerignore_file twice, {self.dockerignore_file!r} and in its docker_settings "
                f"{spec.dockerignore_file!r}: name it in one place."
            )
        return replace(spec, dockerignore_file=self.dockerignore_file or spec.dockerignore_file)

    def compose(self) -> list[Invocation]:
        """The uses of steps that this pipeline is made of, in the order of the calls, with the parameters of configuration files.

        Raises:
            PipelineInterfaceError, StepInterfaceError: the pipeline cannot be put together so.
        """
        self._refuse_inside()
        composed = Composition(self.name, {id(step): name for name, step in self.steps.items()})
        with composing(composed):
            self.connect(**self.arguments)
        invocations = composed.finish()
        called = {id(invocation.step) for invocation in invocations}
        if unused := [name for name, step in self.steps.items() if id(step) not in called]:
            raise PipelineInterfaceError(
                f"The pipeline '{self.name}' is given the step {unused[0]!r}, but never calls it: call it, or take the argument away."
            )
        for settings, overwrite in self.settings:
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
        self.settings.append((settings, overwrite_step_parameters))
        try:
            self.compose()
        except Exception:
            self.settings.pop()
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
        verify: Literal["present", "full"] = "present",
        **runtime_configuration: Any,
    ) -> PipelineRunView:
        """Run on the active stack, and wait for the end.

        Args:
            run_name: unique in the stack's metadata store; by default the pipeline's name and the time.
            schedule: when to run: the pipeline is not run now, but registered to be run by `zenml schedule run`, and None is given back.
            enable_cache: wins over the pipeline's own setting for this run; a step's own `False` still holds.
            verify: how an earlier result is looked at before it is taken: "present" sees that its files exist with their sizes,
                "full" compares their digests. Digests are compared whenever a value is read.
            runtime_configuration: whatever the stack's components understand: JSON data or pydantic models, handed to the
                `prepare_pipeline_deployment` of each.

        Raises:
            StackValidationError: the stack cannot run this pipeline.
            ConfigurationError, StepInterfaceError, PipelineInterfaceError: the pipeline cannot be put together so.
            Exception: the first failing step's own, when the others have ended; a note names run and step.
        """
        if is_prevented(self):
            return None  # type: ignore[return-value]  # whoever prevents it does not look at the result
        return start(
            self,
            run_name=run_name,
            schedule=schedule,
            enable_cache=enable_cache,
            verify=verify,
            options=runtime_configuration,
        )

    def plan(
        self, *, enable_cache: bool | None = None, verify: str = "present", **runtime_configuration: Any
    ) -> Plan:
        """What `run` would do now on the active stack, with the same arguments. Nothing is executed, and nothing recorded.

        Raises:
            ConfigurationError, StepInterfaceError, PipelineInterfaceError: the pipeline cannot be put together so.
            StoreError: what happened before cannot be read.
        """
        from zenml.pipelines.planning import plan

        return plan(self, enable_cache=enable_cache, verify=verify, options=runtime_configuration)

    def resume(self, run_name: str, *, accept_changes: bool = False) -> PipelineRunView:
        """Go on with a run that did not end well: a new run, which takes over what is finished, and executes the rest.

        Args:
            run_name: the run, which has failed, crashed, or was cancelled.
            accept_changes: go on although code or parameters have changed since. What they concern is executed again.

        Raises:
            DoesNotExistException: the active stack has no such run.
            RunError: it is not over, or complete.
            ChangedPipelineError: code or parameters have changed; the message says what.
            Exception: as `run`.
        """
        from zenml.pipelines.rerun import resume

        return resume(self, run_name, accept_changes=accept_changes)

    def replay(
        self,
        run_name: str,
        *,
        start: str | Sequence[str] = (),
        parameters: Mapping[str, Mapping[str, Any]] | None = None,
        accept_changes: bool = False,
    ) -> PipelineRunView:
        """Run a past run again, with changes.

        Args:
            run_name: the run.
            start: steps that are executed again, with all that depends on them; the others' results are taken over. Without steps
                and parameters, all are executed again.
            parameters: other values than those of the past run: `{"train": {"rate": 0.2}}`.
            accept_changes: go on although code or other parameters have changed since. What they concern is executed again.

        Raises:
            DoesNotExistException: there is no such run, or step.
            ChangedPipelineError: code or other parameters have changed; the message says what.
            Exception: as `run`.
        """
        from zenml.pipelines.rerun import replay

        again = (start,) if isinstance(start, str) else tuple(start)
        return replay(self, run_name, start=again, parameters=parameters or {}, accept_changes=accept_changes)

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
    docker_settings: DockerSettings | None = None,
    secrets: Sequence[str] = (),
    on_failure: Hook | None = None,
    on_success: Hook | None = None,
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
    docker_settings: DockerSettings | None = None,
    secrets: Sequence[str] = (),
    on_failure: Hook | None = None,
    on_success: Hook | None = None,
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
        docker_settings: how images are made, for steps that run in containers.
        secrets: names of the secrets that the steps need.
        on_failure: a function that is called with an `Ending` when a run has failed, or was cancelled.
        on_success: the same, when it is complete.

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
            "DOCKER_SETTINGS": docker_settings,
            "SECRETS": tuple(secrets),
            "ON_FAILURE": checked_hook(on_failure, function.__name__),
            "ON_SUCCESS": checked_hook(on_success, function.__name__),
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
