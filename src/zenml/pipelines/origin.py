"""Where a pipeline comes from, as data: so that another process can make the same one again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.exceptions import ConfigurationError, PipelineConfigurationError
from zenml.materializers.classes import class_at, import_path
from zenml.model.json import canonical
from zenml.pipelines.configuration import PipelineSettings, StepSettings
from zenml.steps import BaseStep
from zenml.steps.parameters import from_json, to_json

if TYPE_CHECKING:
    from zenml.pipelines.base_pipeline import BasePipeline


def origin_of(pipeline: BasePipeline, root: Path | None) -> tuple[str, dict[str, Any]]:
    """The source of a pipeline's class, "package.module:name", and what the instance was made with, as JSON data.

    Nothing, ("", {}), for one that another process could not make again: it is defined inside of a function or in no file, or was given
    what is no JSON.
    """
    class_ = type(pipeline)
    file = getattr(sys.modules.get(class_.__module__), "__file__", None)
    if file is None or not Path(file).is_file() or "<locals>" in class_.__qualname__:
        return "", {}
    try:
        arguments = {name: _argument(value, root) for name, value in pipeline.arguments.items()}
        settings = [_settings(given, overwrite) for given, overwrite in pipeline.settings]
        canonical([arguments, settings])
    except (ConfigurationError, TypeError, ValueError):
        return "", {}
    path = import_path(class_, root).removesuffix(f".{class_.__qualname__}")
    return f"{path}:{class_.__qualname__}", {"arguments": arguments, "settings": settings}


def load_pipeline(source: str, made_with: Mapping[str, Any], root: Path) -> BasePipeline:
    """The pipeline that `origin_of` described, imported with `root` first on the path. What a program would run is not run.

    Raises:
        PipelineConfigurationError: it cannot be imported, or not be made so any more.
    """
    from zenml.pipelines.base_pipeline import BasePipeline

    module, _, qualname = source.partition(":")
    if not source:
        raise PipelineConfigurationError(
            "The pipeline cannot be imported again: it was defined in a notebook, inside of a function, or was given what is no JSON data. "
            "Make it where its code is, and call the same in Python: `pipeline.resume(...)`, `pipeline.replay(...)`."
        )
    folder = root.joinpath(*module.split(".")[:-1])
    for path in (folder, root):
        if str(path) not in sys.path and not (path / "__init__.py").exists():
            sys.path.insert(0, str(path))
    try:
        with _without_running():
            class_: Any = import_module(module)
        for part in qualname.split("."):
            class_ = getattr(class_, part)
    except (ImportError, AttributeError) as error:
        raise PipelineConfigurationError(
            f"The pipeline {source!r} cannot be imported from {str(root)!r}: {error}. Was it moved or renamed?"
        ) from error
    if not (isinstance(class_, type) and issubclass(class_, BasePipeline)):
        raise PipelineConfigurationError(f"{source!r} in {str(root)!r} is no pipeline any more.")
    pipeline = class_(**{name: _made(value, root) for name, value in made_with.get("arguments", {}).items()})
    for given in made_with.get("settings", ()):
        pipeline.settings.append(_settings_of(given))
    return pipeline


def _argument(value: Any, root: Path | None) -> dict[str, Any]:
    if not isinstance(value, BaseStep):
        return {"value": value}
    types, class_ = value.parameter_types, type(value)
    module = import_path(class_, root).removesuffix(f".{class_.__qualname__}")
    return {
        "step": f"{module}:{class_.__qualname__}",
        "enable_cache": value.enable_cache,
        "parameters": {n: to_json(value.name, n, v, types[n]) for n, v in value.parameters.items()},
        "materializers": {
            output: [import_path(one, root) for one in classes]
            for output, classes in value.return_materializers.items()
        },
    }


def _made(described: Mapping[str, Any], root: Path) -> Any:
    if "step" not in described:
        return described["value"]
    step = BaseStep.load(described["step"], root)
    types = step.parameter_types
    step.parameters |= {
        name: from_json(step.name, name, value, types[name])
        for name, value in described["parameters"].items()
        if name in types
    }
    step.enable_cache = described["enable_cache"]
    if chosen := described["materializers"]:
        step.with_return_materializers(
            {output: [class_at(one) for one in paths] for output, paths in chosen.items()}
        )
    return step


def _settings(given: PipelineSettings, overwrite: bool) -> dict[str, Any]:
    steps = {
        name: {"parameters": dict(step.parameters), "enable_cache": step.enable_cache}
        for name, step in given.steps.items()
    }
    return {"path": str(given.path), "overwrite": overwrite, "steps": steps}


def _settings_of(described: Mapping[str, Any]) -> tuple[PipelineSettings, bool]:
    steps = {name: StepSettings(**step) for name, step in described["steps"].items()}
    return PipelineSettings(Path(described["path"]), steps=steps), described["overwrite"]


@contextmanager
def _without_running() -> Iterator[None]:
    name = "ZENML_PREVENT_PIPELINE_EXECUTION"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
