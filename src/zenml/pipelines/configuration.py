"""Configuration files of pipelines: parameters of steps, and whether to cache."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zenml.exceptions import PipelineConfigurationError, UnreadableFileError, nearest
from zenml.storage.yaml import load

_TOP = frozenset({"name", "enable_cache", "steps"})
_STEP = frozenset({"source", "parameters", "materializers", "enable_cache"})


@dataclass(frozen=True)
class StepSettings:
    """What a configuration file says of a step."""

    parameters: Mapping[str, Any] = field(default_factory=dict)
    enable_cache: bool | None = None
    source: Mapping[str, str] = field(default_factory=dict)
    materializers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class PipelineSettings:
    """What a configuration file says of a pipeline."""

    path: Path
    name: str | None = None
    enable_cache: bool | None = None
    steps: Mapping[str, StepSettings] = field(default_factory=dict)


def read_settings(path: str | Path) -> PipelineSettings:
    """Read a configuration file.

    Raises:
        UnreadableFileError: it cannot be read, or is no YAML.
        PipelineConfigurationError: it has unknown keys, or something of the wrong kind.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"The configuration file {str(path)!r} cannot be read: {error}.") from error
    content = _mapping(load(text, path) or {}, "the file", path)
    _check_keys(content, _TOP, "the file", path)
    steps = _mapping(content.get("steps") or {}, "'steps'", path)
    return PipelineSettings(
        path=path,
        name=content.get("name"),
        enable_cache=_flag(content, "the file", path),
        steps={str(name): _step(str(name), step, path) for name, step in steps.items()},
    )


def _step(name: str, content: Any, path: Path) -> StepSettings:
    where = f"the step '{name}'"
    step = _mapping(content or {}, where, path)
    _check_keys(step, _STEP, where, path)
    return StepSettings(
        parameters=_mapping(step.get("parameters") or {}, f"'parameters' of {where}", path),
        enable_cache=_flag(step, where, path),
        source=_mapping(step.get("source") or {}, f"'source' of {where}", path),
        materializers={
            output: _mapping(value, f"the materializer of '{output}' of {where}", path)
            for output, value in _mapping(
                step.get("materializers") or {}, f"'materializers' of {where}", path
            ).items()
        },
    )


def _mapping(value: Any, what: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise PipelineConfigurationError(f"{path}: {what} is {value!r}, expected a mapping.")
    return value


def _check_keys(content: Mapping[str, Any], known: frozenset[str], what: str, path: Path) -> None:
    for key in content:
        if key not in known:
            raise PipelineConfigurationError(
                f"{path}: {what} has the unknown key {key!r}.{nearest(str(key), known)}"
            )


def _flag(content: Mapping[str, Any], what: str, path: Path) -> bool | None:
    value = content.get("enable_cache")
    if value is not None and not isinstance(value, bool):
        raise PipelineConfigurationError(
            f"{path}: 'enable_cache' of {what} is {value!r}, expected true or false."
        )
    return value
