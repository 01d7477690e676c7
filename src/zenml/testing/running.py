"""Running a single step through the whole engine."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from zenml.exceptions import DoesNotExistException
from zenml.pipelines import BasePipeline
from zenml.post_execution import PipelineRunView, run_view
from zenml.repository import Repository
from zenml.steps import BaseStep, BaseStepConfig
from zenml.testing.isolation import is_isolated, isolated_stack
from zenml.testing.standins import given


def run_step(step: type[BaseStep] | BaseStep, /, **arguments: Any) -> Any:
    """Run a step as a pipeline would, and give what it gives: its output, or a tuple of its outputs, or None.

    Numbers, texts and None are parameters; every other value is written to the artifact store and read again, as the output of an
    earlier step would be, and so is what the step gives. Nothing is taken from the cache. Outside of `isolated_stack` the step
    runs in one of its own; its code alone is `step.entrypoint(...)`.

    Args:
        step: the step, or an instance with parameters.
        arguments: what its function takes; a configuration as the whole, or by its fields.

    Raises:
        StepInterfaceError: the arguments, or what the step returned, are not what it declares.
        Exception: the step's own.
    """

    class OneStep(BasePipeline):
        NAME = "run_step"

        def connect(self) -> None:
            instance(
                **{
                    name: given(name, value)() if _is_artifact(instance, name, value) else value
                    for name, value in arguments.items()
                }
            )

    configs = [
        arguments.pop(name) for name, value in [*arguments.items()] if isinstance(value, BaseStepConfig)
    ]
    instance = step(*configs) if isinstance(step, type) else step.copy()
    with nullcontext() if is_isolated() else isolated_stack():
        view = OneStep().run(enable_cache=False).steps[-1]
        outputs = view.outputs
        values = tuple(outputs[name].read() for name in instance.signature.outputs)
    return values[0] if len(values) == 1 else values or None


def last_run(pipeline: str | None = None) -> PipelineRunView:
    """The newest run on the active stack, of the pipeline of that name or of any: also of one that raised.

    Raises:
        DoesNotExistException: there is none.
    """
    stack = Repository().active_stack
    store = stack.metadata_store
    found = None if pipeline is None else store.pipeline(pipeline)
    if pipeline is not None and found is None:
        raise DoesNotExistException(f"The pipeline '{pipeline}' has no run on the stack '{stack.name}'.")
    runs = store.runs(found.id if found else None, limit=1, newest_first=True)
    if not runs:
        raise DoesNotExistException(f"There is no run on the stack '{stack.name}'.")
    return run_view(store, stack.artifact_store, runs[0].id)


def _is_artifact(step: BaseStep, name: str, value: Any) -> bool:
    if name not in step.signature.arguments:  # a field of the configuration, or a mistake
        return False
    return name in step.signature.raw_inputs or not isinstance(value, (bool, int, float, str, type(None)))
