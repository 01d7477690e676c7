"""Planning a run: what it would do on the active stack, and what is missing for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from zenml.exceptions import StackValidationError, StepInterfaceError
from zenml.pipelines.running import (
    active_stack,
    check_engines,
    check_operators,
    compile_for,
    default_run_name,
)

if TYPE_CHECKING:
    from zenml.model.plan import Plan
    from zenml.pipelines.base_pipeline import BasePipeline
    from zenml.pipelines.compiler import Compiled
    from zenml.stack import Stack


def plan(
    pipeline: BasePipeline, *, enable_cache: bool | None, verify: str, options: Mapping[str, Any]
) -> Plan:
    """What a run of the pipeline would do. See `BasePipeline.plan`."""
    from zenml.engine.plan import plan_of

    stack = active_stack()
    compiled = compile_for(
        pipeline,
        stack,
        run_name=default_run_name(pipeline.name),
        enable_cache=pipeline.enable_cache if enable_cache is None else enable_cache,
        verify=verify,
        options=options,
    )
    return plan_of(compiled.deployment, stack, list(_missing(stack, compiled)))


def _missing(stack: Stack, compiled: Compiled) -> Iterator[str]:
    """What must be mended before the run, a sentence each."""
    from zenml.stack.packages import missing_packages
    from zenml.stack.secrets import missing_secrets

    for type_, component in stack.components.items():
        if not component.is_provisioned:
            yield f"The {type_.display} '{component.name}' is not provisioned: run `zenml stack up`."
        elif not component.is_running:
            yield f"The {type_.display} '{component.name}' is not running: run `zenml stack up`."
    checks = (
        stack.validate,
        lambda: check_operators(stack, compiled),
        lambda: check_engines(stack, compiled.deployment),
    )
    for check in checks:
        try:
            check()
        except (StackValidationError, StepInterfaceError) as error:
            yield str(error)
    for secret in missing_secrets(compiled.deployment, stack):
        yield f"{secret[0].upper()}{secret[1:]}, does not exist."
    for package in missing_packages({*compiled.deployment.requirements, *stack.requirements()}):
        yield f"The package {package} is missing: install it."
