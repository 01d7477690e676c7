"""Cache keys: from what a step's result is known before it runs. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from zenml.model.json import canonical
from zenml.model.runs import ArtifactRecord, CacheKey

if TYPE_CHECKING:
    from zenml.model.deployment import OutputSpec, StepSpec


def fixed_parts(step: StepSpec, map_index: int = -1) -> dict[str, str]:
    """The parts of a step's key that do not depend on its inputs: code, parameters, outputs. Each name says what it is.

    An instance of a mapped step (`map_index` from 0 on) has values of its own for the arguments in `step.each`, and
    else the parts of a step that is not mapped.
    """
    parts = {f"code {name}": digest for name, digest in step.code.items()}
    parts |= {f"parameter {name}": _digest(canonical(value)) for name, value in step.parameters.items()}
    if map_index >= 0:
        parts |= {
            f"parameter {name}": _digest(canonical(values[map_index])) for name, values in step.each.items()
        }
    parts |= step.cache_parts
    for position, output in enumerate(step.outputs):
        parts[f"output {output.name}"] = _declared(position, output)
    return parts


def cache_key(fixed: Mapping[str, str], inputs: Mapping[str, ArtifactRecord]) -> CacheKey:
    """The key of a step with these fixed parts and inputs: equal content of the inputs, equal key, whoever produced it."""
    parts = {**fixed, **{f"input {name}": artifact.digest for name, artifact in inputs.items()}}
    return CacheKey(_digest("\n".join(f"{name}\0{parts[name]}" for name in sorted(parts))), parts)


@lru_cache(maxsize=1024)  # a step may be used a thousand times
def _declared(position: int, output: OutputSpec) -> str:
    return _digest(canonical([position, output.annotation, list(output.materializers), output.artifact_type]))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
