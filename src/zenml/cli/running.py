"""Runs the pipeline of a file, and shows how it goes."""

from __future__ import annotations

import sys
import traceback
import warnings
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, redirect_stdout
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from zenml.engine.observer import observing
from zenml.exceptions import (
    PickleWarning,
    PipelineConfigurationError,
    RunCancelledError,
    ZenMLBaseException,
    nearest,
)
from zenml.pipelines import BasePipeline
from zenml.pipelines.configuration import PipelineSettings, StepSettings, read_settings
from zenml.secret.known import redact
from zenml.steps import BaseStep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zenml.cli.terminal import Terminal
    from zenml.model.plan import Plan

_PACKAGE = str(Path(__file__).resolve().parent.parent)


class UserCodeError(Exception):
    """The user's own code raised; the text is the part of the traceback that is the user's. Or the run was `cancelled`."""

    def __init__(self, text: str, *, cancelled: bool = False) -> None:
        super().__init__(text)
        self.cancelled = cancelled


def run_file(terminal: Terminal, file: Path, config: Path | None, name: str | None) -> None:
    """Run the pipeline of that name in `file`: the only one, or that which the configuration names, unless given.

    Raises:
        PipelineConfigurationError: it is not there, or the configuration does not fit.
        UserCodeError: the file cannot be imported, or a step failed.
    """
    with shown(terminal):
        _pipeline_in(file, config, name).run()


def plan_file(terminal: Terminal, file: Path, config: Path | None, name: str | None) -> Plan:
    """What running it would do. Raises as `run_file`."""
    # What the file itself prints is not what was asked for.
    aside = nullcontext() if terminal.output == "table" else redirect_stdout(sys.stderr)
    with _users_errors(), _plain_warnings(terminal), aside:
        return _pipeline_in(file, config, name).plan()


def _pipeline_in(file: Path, config: Path | None, name: str | None) -> BasePipeline:
    """The pipeline of that name in `file`, with the steps and parameters of the configuration."""
    settings = PipelineSettings(file) if config is None else read_settings(config)
    file = file.resolve()
    module = _import_as_main(file)
    class_ = _pipeline(module, file, name or settings.name)
    pipeline = class_(**_steps(settings, module))
    if config is not None:
        pipeline.with_config(config, overwrite_step_parameters=True)
    return pipeline


@contextmanager
def shown(terminal: Terminal) -> Iterator[None]:
    """Show the run that is started in this block, and of what the user's code raises the user's part.

    Raises:
        UserCodeError: user code has raised, or the run was cancelled.
    """
    with _users_errors(), _display(terminal), _plain_warnings(terminal):
        yield


@contextmanager
def _users_errors() -> Iterator[None]:
    try:
        yield
    except RunCancelledError as error:
        raise UserCodeError(f"Error: {error}", cancelled=True) from error
    except Exception as error:
        # The notes are those of a step: its error is the user's, of whatever class.
        if isinstance(error, ZenMLBaseException) and not getattr(error, "__notes__", None):
            raise
        raise UserCodeError(redact("".join(_users_part(error)).rstrip())) from error


def _import_as_main(file: Path) -> ModuleType:
    """Import a file by its own name, so that its code is the same as when another file imports it."""
    sys.path.insert(0, str(file.parent))
    name = file.stem
    if name in sys.modules:
        raise PipelineConfigurationError(
            f"The file {file.name!r} cannot be imported: {name!r} is a module of Python, or of a library, already. Rename the file."
        )
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise PipelineConfigurationError(
            f"{str(file)!r} is no Python file: expected a name that ends in .py."
        )
    module = module_from_spec(spec)
    sys.modules[name] = module
    # For all who ask which program runs, it is this file: steps are imported elsewhere relative to its folder.
    sys.modules["__main__"] = module
    spec.loader.exec_module(module)
    return module


def _pipeline(module: ModuleType, file: Path, name: str | None) -> type[BasePipeline]:
    found = {
        key: value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, BasePipeline)
        and hasattr(value, "connect")
        and value.__module__ == module.__name__
    }
    by_name = {value.NAME or key: value for key, value in found.items()} | found
    if name is not None:
        if name not in by_name:
            raise PipelineConfigurationError(
                f"There is no pipeline '{name}' in {str(file)!r}.{nearest(name, by_name)}"
            )
        return by_name[name]
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise PipelineConfigurationError(
            f"There is no pipeline in {str(file)!r}: expected a function with @pipeline, or a subclass of BasePipeline."
        )
    names = ", ".join(f"'{key}'" for key in found)
    raise PipelineConfigurationError(
        f"There are several pipelines in {str(file)!r}: {names}. Name one with --name."
    )


def _steps(settings: PipelineSettings, module: ModuleType) -> dict[str, BaseStep]:
    """The steps that the configuration gives a source for, by the pipeline's argument."""
    return {
        name: _step(settings, name, step, module)
        for name, step in settings.steps.items()
        if step.source or step.materializers
    }


def _step(settings: PipelineSettings, name: str, step: StepSettings, module: ModuleType) -> BaseStep:
    where = f"{settings.path}: the step '{name}'"
    if not step.source:
        raise PipelineConfigurationError(f"{where} has 'materializers', which need its 'source' as well.")
    class_ = _object(step.source, module, where)
    if not (isinstance(class_, type) and issubclass(class_, BaseStep)):
        raise PipelineConfigurationError(f"{where}: {step.source.get('name')!r} is no step, but {class_!r}.")
    instance = class_()
    if step.materializers:
        chosen = {output: _object(source, module, where) for output, source in step.materializers.items()}
        instance.with_return_materializers(chosen)
    return instance


def _object(source: Mapping[str, str], module: ModuleType, where: str) -> Any:
    """What `{name: X, file: optional/path.py}` stands for; the path is relative to the working directory."""
    if not isinstance(source.get("name"), str) or (unknown := set(source) - {"name", "file"}):
        problem = f"the unknown key {min(unknown)!r}" if source.get("name") else "no 'name'"
        raise PipelineConfigurationError(
            f"{where} has a source with {problem}: expected {{name: X, file: optional/path.py}}."
        )
    if file := source.get("file"):
        module = _imported(Path(file), where)
    try:
        return getattr(module, source["name"])
    except AttributeError:
        hint = nearest(source["name"], [key for key in vars(module) if not key.startswith("_")])
        raise PipelineConfigurationError(
            f"{where}: there is no {source['name']!r} in the module {module.__name__!r}.{hint}"
        ) from None


def _imported(file: Path, where: str) -> ModuleType:
    from importlib import import_module

    file = file.resolve()
    if not file.is_file():
        raise PipelineConfigurationError(f"{where}: the file {str(file)!r} does not exist.")
    root = next((folder for folder in sys.path if folder and file.is_relative_to(folder)), None)
    if root is None:
        root = str(file.parent)
        sys.path.insert(0, root)
    return import_module(".".join(file.relative_to(root).with_suffix("").parts))


def _display(terminal: Terminal) -> AbstractContextManager[Any]:
    """The live display on a terminal; elsewhere the log, line by line."""
    if not terminal.is_interactive:
        return nullcontext()
    from rich.console import Console

    from zenml.cli.progress import LiveObserver

    stack = ExitStack()
    stack.enter_context(observing(stack.enter_context(LiveObserver(Console()))))
    return stack


@contextmanager
def _plain_warnings(terminal: Terminal) -> Iterator[None]:
    """Show the framework's own warnings without the line of its code that gave them."""
    with warnings.catch_warnings():
        show_others = warnings.showwarning

        def show(message: Any, category: type[Warning], *rest: Any, **options: Any) -> None:
            if issubclass(category, PickleWarning):
                terminal.warn(str(message))
            else:
                show_others(message, category, *rest, **options)

        warnings.showwarning = show
        yield


def _users_part(error: BaseException) -> list[str]:
    """The traceback from the first frame on that is neither the framework's nor that of what imports files."""
    frame = error.__traceback__
    while frame is not None:
        file = frame.tb_frame.f_code.co_filename
        if not file.startswith((_PACKAGE, "<frozen importlib")):
            break
        frame = frame.tb_next
    return traceback.format_exception(type(error), error, frame)
