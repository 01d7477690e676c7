"""From a pipeline to plain data. Nothing is read but the code and the files that steps declare, nothing is written."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml._version import __version__
from zenml.engine.fingerprint import Fingerprints
from zenml.engine.packages import environment_of
from zenml.exceptions import PipelineInterfaceError, StepInterfaceError
from zenml.materializers.classes import import_path
from zenml.model.deployment import ConditionSpec, Deployment, InputSpec, OutputSpec, StackSpec, StepSpec
from zenml.model.json import canonical
from zenml.pipelines.origin import origin_of
from zenml.steps.annotations import describe

if TYPE_CHECKING:
    from zenml.pipelines.base_pipeline import BasePipeline
    from zenml.steps import BaseStep
    from zenml.steps.composition import Invocation


@dataclass(frozen=True)
class Compiled:
    """A deployment, and its steps as code, by name."""

    deployment: Deployment
    steps: Mapping[str, BaseStep]


def compile_pipeline(
    pipeline: BasePipeline,
    *,
    stack: StackSpec,
    run_name: str,
    run_uuid: UUID,
    runtime_configuration: Mapping[str, Any],
    enable_cache: bool,
    verify: str = "present",
    source_root: str = "",
    git_sha: str | None = None,
) -> Compiled:
    """The deployment of a pipeline on a stack.

    Raises:
        PipelineInterfaceError: the steps wait for each other in a circle, or one is passed in and never called.
        StepInterfaceError: an input is missing, or of another type than the step takes; or a file that a step declares is missing.
        ConfigurationError: a parameter is missing, of the wrong type, or no JSON.
    """
    invocations = in_order(pipeline.compose(), pipeline.name)
    codes: dict[Any, dict[str, str]] = {}
    cache_parts: dict[int, dict[str, str]] = {}
    root = Path(source_root) if source_root else None
    fingerprints = Fingerprints(root)
    specs = []
    for invocation in invocations:
        code = _code(invocation.step)
        if code not in codes:
            codes[code] = fingerprints.code_of(*code)
        cache = invocation.step.CACHE
        if id(cache) not in cache_parts:
            cache_parts[id(cache)] = cache.parts(invocation.name, root or Path.cwd()) if cache else {}
        specs.append(_spec(invocation, codes[code], cache_parts[id(cache)], root, enable_cache=enable_cache))
    source, arguments = origin_of(pipeline, root)
    deployment = Deployment(
        pipeline=pipeline.name,
        run_name=run_name,
        run_uuid=run_uuid,
        steps=tuple(specs),
        stack=stack,
        source_root=source_root,
        enable_cache=enable_cache,
        runtime_configuration=runtime_configuration,
        requirements=tuple(sorted(pipeline.requirements)),
        docker=pipeline.docker_spec,
        secrets=tuple(pipeline.secrets),
        docstring=pipeline.__doc__,
        environment=environment_of(fingerprints.imported),
        zenml_version=__version__,
        git_sha=git_sha,
        source=source,
        arguments=arguments,
        verify=verify,
        on_failure=_hook(pipeline.on_failure),
        on_success=_hook(pipeline.on_success),
    )
    return Compiled(deployment, {invocation.name: invocation.step for invocation in invocations})


def in_order(invocations: Sequence[Invocation], pipeline: str) -> list[Invocation]:
    """The invocations so that each stands behind what it waits for; independent ones in the order of their calls.

    Raises:
        PipelineInterfaceError: they wait for each other in a circle, which the message names.
    """
    position = {invocation: number for number, invocation in enumerate(invocations)}
    waits_for = {invocation: set(upstream(invocation)) for invocation in invocations}
    dependants: dict[Invocation, list[Invocation]] = {invocation: [] for invocation in invocations}
    for invocation, before in waits_for.items():
        for earlier in before:
            dependants[earlier].append(invocation)
    ready = [position[invocation] for invocation, before in waits_for.items() if not before]
    ordered: list[Invocation] = []
    while ready:
        invocation = invocations[heapq.heappop(ready)]
        ordered.append(invocation)
        for dependant in dependants[invocation]:
            waits_for[dependant].discard(invocation)
            if not waits_for[dependant]:
                heapq.heappush(ready, position[dependant])
    if len(ordered) < len(invocations):
        circle = " → ".join(f"'{name}'" for name in _circle(waits_for))
        raise PipelineInterfaceError(
            f"Steps of the pipeline '{pipeline}' wait for each other in a circle: {circle}. Take one of these dependencies away."
        )
    return ordered


def upstream(invocation: Invocation) -> list[Invocation]:
    """What an invocation waits for, each once: the sources of its inputs and its condition, then what `after` names."""
    outputs = [
        *invocation.inputs.values(),
        *([invocation.when.output] if invocation.when is not None else []),
    ]
    return list(dict.fromkeys([*(output.invocation for output in outputs), *invocation.upstream]))


def _circle(waits_for: Mapping[Invocation, set[Invocation]]) -> list[str]:
    present = next(invocation for invocation, before in waits_for.items() if before)
    path: list[Invocation] = []
    while present not in path:
        path.append(present)
        present = min(waits_for[present], key=lambda earlier: earlier.name)
    circle = [*path[path.index(present) :], present]
    return [invocation.name for invocation in reversed(circle)]


def _spec(
    invocation: Invocation,
    code: Mapping[str, str],
    cache_parts: Mapping[str, str],
    root: Path | None,
    *,
    enable_cache: bool,
) -> StepSpec:
    step = invocation.step
    parameters, each = _parameters(invocation)
    return StepSpec(
        name=invocation.name,
        source=_source(type(step), root),
        entrypoint_name=step.NAME,
        inputs={
            name: InputSpec(output.invocation.name, output.name, invocation.modes.get(name, "value"))
            for name, output in invocation.inputs.items()
        },
        upstream=tuple(earlier.name for earlier in upstream(invocation)),
        outputs=tuple(
            OutputSpec(
                name,
                describe(annotation),
                tuple(import_path(class_, root) for class_ in step.return_materializers.get(name, ())),
                import_path(step.OUTPUT_TYPES[name], root) if name in step.OUTPUT_TYPES else "",
            )
            for name, annotation in step.signature.outputs.items()
        ),
        parameters=parameters,
        enable_cache=enable_cache and step.enable_cache,
        code=code,
        step_operator=step.step_operator,
        docstring=step.__doc__,
        cache_parts=cache_parts,
        expires_after=step.CACHE.expires.total_seconds() if step.CACHE and step.CACHE.expires else None,
        each=each,
        when=_condition(invocation),
        retry=step.retries.spec() if step.retries else None,
        timeout=step.timeout,
        resources=step.resources.spec() if step.resources else None,
        on_failure=_hook(step.on_failure),
        on_success=_hook(step.on_success),
        secrets=step.secret_parameters,
    )


def _parameters(invocation: Invocation) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """The parameters that all instances have in common, and those that each has its own of."""
    complete = invocation.step.complete_parameters
    if not invocation.each:
        return complete(invocation.name, invocation.inputs, invocation.parameters), {}
    instances = [
        complete(
            invocation.name,
            invocation.inputs,
            {**invocation.parameters, **dict(zip(invocation.each, values, strict=True))},
        )
        for values in zip(*invocation.each.values(), strict=True)
    ]
    common = {name: value for name, value in (instances or [{}])[0].items() if name not in invocation.each}
    return common, {name: [instance[name] for instance in instances] for name in invocation.each}


def _condition(invocation: Invocation) -> ConditionSpec | None:
    if invocation.when is None:
        return None
    output, value = invocation.when.output, invocation.when.value
    try:
        canonical(value)
    except (TypeError, ValueError) as error:
        raise StepInterfaceError(
            f"`when` of the step '{invocation.name}' compares with a {type(value).__qualname__}: {error}. Compare with a number, a text, "
            "true, false or None; anything else in a step that returns a bool."
        ) from error
    return ConditionSpec(output.invocation.name, output.name, invocation.when.operator, value)


def _hook(hook: Any) -> str | None:
    return (
        None
        if hook is None
        else f"{hook.__module__}.{getattr(hook, '__qualname__', type(hook).__qualname__)}"
    )


@lru_cache(maxsize=256)  # a step may be used a thousand times
def _source(class_: type[BaseStep], root: Path | None) -> str:
    module = import_path(class_, root).removesuffix(f".{class_.__qualname__}")
    return f"{module}:{class_.__qualname__}"


def _code(step: BaseStep) -> tuple[Any, ...]:
    chosen = dict.fromkeys(class_ for classes in step.return_materializers.values() for class_ in classes)
    config = (step.signature.config[1],) if step.signature.config else ()
    return (
        step.code_object(),
        *config,
        *(class_ for class_ in chosen if not class_.__module__.startswith("zenml.")),
    )
