"""Starting a run: a pipeline and the active stack, put together, checked, and handed to the engine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic import BaseModel

from zenml.context import running_step
from zenml.exceptions import (
    ConfigurationError,
    RunError,
    SecretError,
    StackValidationError,
    StepInterfaceError,
)
from zenml.logger import get_logger, show_messages
from zenml.model.json import canonical
from zenml.model.names import check_name
from zenml.stack.secrets import missing_secrets

if TYPE_CHECKING:
    from zenml.engine.control import Past
    from zenml.model.deployment import Deployment
    from zenml.pipelines.base_pipeline import BasePipeline
    from zenml.pipelines.compiler import Compiled
    from zenml.pipelines.schedule import Schedule
    from zenml.post_execution import PipelineRunView
    from zenml.stack import Stack

logger = get_logger("zenml.pipelines")

# In English, whatever the locale: a run's name is no text for people alone.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Prepared:
    """A pipeline that can be executed: it is compiled, and fits the stack. Nothing is recorded yet."""

    pipeline: BasePipeline
    compiled: Compiled
    stack: Stack


def is_prevented(pipeline: BasePipeline) -> bool:
    """Whether ZENML_PREVENT_PIPELINE_EXECUTION says that nothing is to be run: for processes that import a program to get at its steps."""
    show_messages()
    if running_step():
        return False  # it is refused there, whatever process executes the step
    if os.environ.get("ZENML_PREVENT_PIPELINE_EXECUTION", "").lower() not in ("1", "y", "yes", "true"):
        return False
    logger.warning("The pipeline `%s` is not run: ZENML_PREVENT_PIPELINE_EXECUTION is set.", pipeline.name)
    return True


def start(
    pipeline: BasePipeline,
    *,
    run_name: str | None,
    schedule: Schedule | None,
    enable_cache: bool | None,
    verify: str,
    options: Mapping[str, Any],
) -> PipelineRunView:
    """Run the pipeline on the active stack, or, with a schedule, register it to be run there."""
    _refuse_in_a_step(pipeline)
    logger.info("Creating %s for pipeline: `%s`", "schedule" if schedule else "run", pipeline.name)
    cached = pipeline.enable_cache if enable_cache is None else enable_cache
    logger.info("Cache %s for pipeline `%s`", "enabled" if cached else "disabled", pipeline.name)
    stack = active_stack()
    _check_schedule(stack, schedule, run_name)
    check_stack(stack)
    name = default_run_name(pipeline.name) if run_name is None else run_name
    prepared = prepare(pipeline, stack, run_name=name, enable_cache=cached, verify=verify, options=options)
    if schedule is not None:
        from zenml.pipelines.scheduled import register

        register(prepared, schedule, _plain_options(options))
        return None  # type: ignore[return-value]  # nothing has run yet
    return execute(prepared)


def active_stack() -> Stack:
    """The stack that pipelines run on."""
    from zenml.repository import Repository

    return Repository().active_stack


def check_stack(stack: Stack) -> None:
    """See that the stack can run pipelines now. Raises StackValidationError."""
    stack.validate()
    stack.check_running()


def prepare(
    pipeline: BasePipeline,
    stack: Stack,
    *,
    run_name: str,
    enable_cache: bool,
    verify: str,
    options: Mapping[str, Any],
    root: Path | None = None,
) -> Prepared:
    """Compile the pipeline for the stack, and see that it can be executed there.

    Raises:
        StackValidationError: the stack cannot run it.
        ConfigurationError, StepInterfaceError, PipelineInterfaceError: it cannot be put together so.
    """
    compiled = compile_for(
        pipeline,
        stack,
        run_name=run_name,
        enable_cache=enable_cache,
        verify=verify,
        options=options,
        root=root,
    )
    check_operators(stack, compiled)
    check_engines(stack, compiled.deployment)
    _check_secrets(stack, compiled.deployment)
    return Prepared(pipeline, compiled, stack)


def compile_for(
    pipeline: BasePipeline,
    stack: Stack,
    *,
    run_name: str,
    enable_cache: bool,
    verify: str,
    options: Mapping[str, Any],
    root: Path | None = None,
) -> Compiled:
    """Compile the pipeline for the stack. Nothing is checked that is not about the pipeline alone.

    Sources are relative to `root`, by default that of the repository, else the folder of the program.

    Raises:
        ConfigurationError, StepInterfaceError, PipelineInterfaceError: it cannot be put together so.
    """
    from zenml.pipelines.compiler import compile_pipeline
    from zenml.repository import Repository

    if verify not in ("present", "full"):
        raise ConfigurationError(f"`verify` is {verify!r}, expected 'present' or 'full'.")
    repository = Repository()
    given = dict(options)
    stack.prepare_pipeline_deployment(pipeline, given)
    folder = root or repository.root or _main_folder()
    return compile_pipeline(
        pipeline,
        stack=stack.to_spec(repository.registry.flavors()),
        run_name=check_name(run_name, "run"),
        run_uuid=uuid4(),
        runtime_configuration=_plain_options(given),
        enable_cache=enable_cache,
        verify=verify,
        source_root=str(folder),
        git_sha=_git_sha(folder),
    )


def execute(prepared: Prepared, past: Past | None = None) -> PipelineRunView:
    """Execute it, in images that are made before or with code that is sent ahead, and wait for the end.

    Raises:
        ImageError: an image cannot be built or pushed. Nothing is recorded then.
        Exception: the first failing step's, with a note that names run and step.
    """
    from zenml.engine.code_archive import with_code
    from zenml.engine.driver import execute
    from zenml.images.build import build_images
    from zenml.post_execution import run_view

    pipeline, compiled, stack = prepared.pipeline, prepared.compiled, prepared.stack
    logger.info("Using stack `%s` to run pipeline `%s`...", stack.name, pipeline.name)
    deployment = replace(compiled.deployment, images=build_images(compiled.deployment, stack))
    deployment = with_code(deployment, stack)
    result = execute(
        deployment,
        compiled.steps,
        stack,
        past=past,
        on_failure=pipeline.on_failure,
        on_success=pipeline.on_success,
    )
    if result.exception is not None:
        _add_note(result.exception, f"In the step '{result.failed}' of the run '{deployment.run_name}'.")
        raise result.exception
    return run_view(stack.metadata_store, stack.artifact_store, result.run_id)


def _check_secrets(stack: Stack, deployment: Deployment) -> None:
    if missing := missing_secrets(deployment, stack, of_components=False):
        raise SecretError(
            f"The pipeline '{deployment.pipeline}' cannot be run on the stack '{stack.name}': there is not {'; nor '.join(missing)}. "
            "Register secrets with `zenml secret register`."
        )


def _refuse_in_a_step(pipeline: BasePipeline) -> None:
    if step := running_step():
        raise RunError(
            f"The step '{step.step_name}' cannot run the pipeline '{pipeline.name}': a step does not start "
            f"pipelines. Call what its steps do directly."
        )


def _check_schedule(stack: Stack, schedule: Schedule | None, run_name: str | None) -> None:
    if schedule is None:
        return
    if not stack.orchestrator.takes_schedules:
        raise StackValidationError(
            f"The orchestrator '{stack.orchestrator.name}' of flavor '{stack.orchestrator.FLAVOR}' cannot run pipelines by a schedule: "
            "run this one without, from cron for instance, or use an orchestrator that can."
        )
    if run_name is not None:
        raise ConfigurationError(
            f"The run name {run_name!r} cannot be that of every run of a schedule: name the schedule, Schedule(name=...), and its runs are "
            "called by it and their time."
        )


def check_operators(stack: Stack, compiled: Compiled) -> None:
    """See that the stack has the step operators that steps name, and that other processes can import the steps that they execute.

    Raises:
        StackValidationError, StepInterfaceError: it is not so.
    """
    present = {stack.step_operator.name} if stack.step_operator else set()
    for spec in compiled.deployment.steps:
        if spec.step_operator and spec.step_operator not in present:
            raise StackValidationError(
                f"Step '{spec.name}' requires custom step operator '{spec.step_operator}' which is not configured in the active stack. "
                f"Available step operators: {', '.join(sorted(present)) or 'none'}."
            )
        if spec.step_operator is None and not stack.orchestrator.imports_steps:
            continue
        class_ = type(compiled.steps[spec.name])
        file = getattr(sys.modules.get(class_.__module__), "__file__", None)
        in_a_file = file is not None and Path(file).is_file()  # standard input has a name, too
        if not in_a_file or "<locals>" in class_.__qualname__:
            where = (
                f"orchestrator '{stack.orchestrator.name}'"
                if spec.step_operator is None
                else f"step operator '{spec.step_operator}'"
            )
            raise StepInterfaceError(
                f"The step '{spec.name}' cannot be executed by the {where}: it is defined inside of a function or in no file, where "
                "another process cannot import it from. Define it at the top of a module."
            )


def check_engines(stack: Stack, deployment: Deployment) -> None:
    """See that the orchestrator and the step operator can execute their steps. Raises StackValidationError."""
    stack.orchestrator.check_deployment(deployment)
    if stack.step_operator is not None and stack.step_operator.own_steps(deployment):
        stack.step_operator.check_deployment(deployment)


def _add_note(error: BaseException, note: str) -> None:
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        notes: list[str] = getattr(error, "__notes__", [])
        vars(error)["__notes__"] = [*notes, note]


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


def default_run_name(pipeline: str) -> str:
    """The name of a run that is given none: the pipeline's, and the time."""
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
