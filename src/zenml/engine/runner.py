"""The runner: one attempt of one step, in whatever process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.context import RunningStep, running
from zenml.engine.capture import Capture
from zenml.engine.cleanup import Cleanup
from zenml.engine.errors import error_record
from zenml.enums import ExecutionStatus
from zenml.exceptions import ArtifactCorruptedError, ArtifactGoneError, StoreError
from zenml.io.filesystem import mounted
from zenml.liveness import LEASE, this_process
from zenml.materializers.classes import import_path
from zenml.materializers.values import artifact_of, read_value, write_value
from zenml.model.runs import InFlight, StepOutcome, attempt_folder
from zenml.stack import Stack

if TYPE_CHECKING:
    from zenml.engine.worker_code import Code
    from zenml.model.deployment import Deployment, RetrySpec, StepSpec
    from zenml.model.runs import ArtifactRecord, Claim, StepTask
    from zenml.steps import BaseStep


class AttemptStopped(BaseException):
    """Raised in a worker process where its step is, to end it. Whoever stopped the attempt records that."""


class Runner:
    """Executes attempts of a deployment's steps in this process.

    Calling it with a task claims the step, reads the inputs, calls the step's function, writes the outputs below the attempt's own
    prefix, and publishes them with the end of the step in one transaction.
    """

    def __init__(self, deployment: Deployment, steps: Mapping[str, BaseStep], stack: Stack) -> None:
        self._deployment = deployment
        self._steps = steps
        self._stack = stack
        self._store = stack.artifact_store
        self._specs = {step.name: step for step in deployment.steps}
        self._hooks = stack.step_hooks

    def __reduce__(self) -> tuple[Any, ...]:
        from zenml.engine.worker_code import Code  # few runs have workers

        return _unpacked, (Code.of(self._deployment, self._steps),)

    def __call__(self, task: StepTask) -> StepOutcome:
        """Execute one attempt. What the step raises is recorded and given back; what stops the process is recorded and goes on.

        Raises:
            StaleAttemptError: the step has ended, or a later attempt owns it.
        """
        metadata_store = self._stack.metadata_store
        claim = metadata_store.start_attempt(
            task.step_run_id,
            key=task.key,
            inputs={name: artifact.id for name, artifact in task.inputs.items()},
            owner=this_process(),
            lease_until=time.time() + LEASE,
            reason=task.reason,
            shares=task.shares,
        )
        if isinstance(claim, InFlight):
            return StepOutcome(task, ExecutionStatus.PENDING, in_flight=claim.step_run_id)
        try:
            written = self._execute(task, self._specs[task.step], claim)
            artifacts = metadata_store.complete_attempt(claim, written)
        except Exception as error:  # noqa: BLE001 - whatever a step raises is its outcome
            record = error_record(error)
            final = not is_retried(self._specs[task.step].retry, claim.number, error)
            try:
                metadata_store.fail_attempt(claim, record, final=final)
            except StoreError as failure:
                failure.message += f" The step '{task.step}' had failed: {record.type}: {record.message}"
                raise
            return StepOutcome(task, ExecutionStatus.FAILED, error=record, exception=error, final=final)
        except AttemptStopped:
            raise
        except BaseException as error:
            with contextlib.suppress(StoreError):  # what stops the process goes on
                metadata_store.fail_attempt(claim, error_record(error), status=ExecutionStatus.CANCELLED)
            raise
        return StepOutcome(task, ExecutionStatus.COMPLETED, artifacts)

    def _execute(self, task: StepTask, spec: StepSpec, claim: Claim) -> tuple[ArtifactRecord, ...]:
        step = self._steps[task.step]
        # One folder: making one costs more than all of this.
        prefix = attempt_folder(
            self._store.path, self._deployment.run_uuid, spec.name, task.map_index, claim.number
        )
        uris = {output.name: f"{prefix}/{output.name}" for output in spec.outputs}
        with contextlib.ExitStack() as scope:
            scope.enter_context(running(RunningStep(self._deployment, task, self._stack, uris)))
            scope.enter_context(mounted(self._store.path, self._store))
            scope.enter_context(Capture(self._store, prefix, task.label))
            for component in self._hooks:
                # Registered before it is prepared: what half a preparation has left is cleaned up as well.
                scope.push(Cleanup(component.cleanup_step_run))
                component.prepare_step_run()
            values = step.run_entrypoint(
                self._inputs(step, task, spec), instance_parameters(spec, task.map_index)
            )
            return tuple(
                write_value(
                    output.name,
                    values.pop(output.name),  # so that a large one is gone when the next is written
                    uris[output.name],
                    self._store,
                    annotation=step.signature.outputs[output.name],
                    materializers=step.return_materializers.get(output.name, ()),
                    artifact_type=output.artifact_type,
                )
                for output in spec.outputs
            )

    def _inputs(self, step: BaseStep, task: StepTask, spec: StepSpec) -> dict[str, Any]:
        raw = step.signature.raw_inputs

        def value(name: str, record: ArtifactRecord) -> Any:
            return artifact_of(record) if name in raw else self._read(record)

        if all(source.mode != "all" for source in spec.inputs.values()):
            return {name: value(name, record) for name, record in task.inputs.items()}
        inputs: dict[str, Any] = {}
        for name, source in spec.inputs.items():
            if source.mode == "all":
                items = (task.inputs.get(f"{name}[{index}]") for index in count())
                inputs[name] = [value(name, record) for record in takewhile(bool, items) if record]
            else:
                inputs[name] = value(name, task.inputs[name])
        return inputs

    def _read(self, record: ArtifactRecord) -> Any:
        try:
            return read_value(record, self._store)
        except (ArtifactCorruptedError, ArtifactGoneError):
            # The next run makes it anew: its names and sizes alone, which a hit is judged by, do not tell.
            self._stack.metadata_store.forget_result(record.producer)
            raise


def instance_parameters(spec: StepSpec, index: int) -> Mapping[str, Any]:
    """The parameters of an instance of a mapped step; of any other one, its parameters."""
    if not spec.each or index < 0:
        return spec.parameters
    return {**spec.parameters, **{name: values[index] for name, values in spec.each.items()}}


def is_retried(retry: RetrySpec | None, attempt: int, error: BaseException) -> bool:
    """Whether the attempt of that number, which ended with `error`, is followed by another one."""
    if retry is None or attempt >= retry.attempts:
        return False
    return not {import_path(class_) for class_ in type(error).__mro__}.isdisjoint(retry.on)


def _unpacked(code: Code) -> Runner:
    deployment, steps = code.load()
    stack = Stack.from_spec(deployment.stack, Path(deployment.source_root))
    stack.metadata_store.pipeline(
        deployment.pipeline
    )  # connects now: it shall not count for a step's timeout
    return Runner(deployment, steps, stack)
