"""Services that steps gave as outputs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from zenml.exceptions import DoesNotExistException
from zenml.services.service import BaseService


def load_last_service_from_step(
    pipeline_name: str, step_name: str, step_context: Any = None, running: bool = False
) -> BaseService | None:
    """The service that the newest run of a pipeline in which the step gave one has given; with `running`, the newest one that runs.

    Runs are those of the stack of `step_context`, else of the active stack. None if there is no such service.

    Raises:
        DoesNotExistException: there is no such pipeline, or no run of it has had such a step.
    """
    # By name: both lie above this layer.
    stack = (
        import_module("zenml.repository").Repository().active_stack
        if step_context is None
        else step_context.stack
    )
    pipeline_of = import_module("zenml.post_execution").pipeline_of
    pipeline = pipeline_of(stack.metadata_store, stack.artifact_store, pipeline_name)
    if pipeline is None:
        raise DoesNotExistException(
            f"There is no pipeline '{pipeline_name}' in the metadata store of the stack."
        )
    known = False
    for run in reversed(pipeline.runs):
        steps = {step.name: step for step in run.steps}
        if step_name not in steps:
            continue
        known = True
        for output in steps[step_name].outputs.values():
            if output.type != "ServiceArtifact":
                continue
            service = output.read()
            if isinstance(service, BaseService) and (not running or service.is_running):
                return service
    if not known:
        raise DoesNotExistException(f"No run of the pipeline '{pipeline_name}' has a step '{step_name}'.")
    return None
