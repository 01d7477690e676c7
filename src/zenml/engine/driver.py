"""The driver: order, cache decisions and skipping of a run's steps."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenml.engine.cache import cache_key, fixed_parts
from zenml.engine.cleanup import Cleanup
from zenml.engine.observer import ended, present_observer
from zenml.engine.operators import StepOperatorExecutor
from zenml.engine.owner import this_process
from zenml.engine.runner import LEASE, Runner, error_record
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunError, StoreError
from zenml.materializers.values import check_present
from zenml.model.json import canonical
from zenml.model.runs import CacheHit, RunDraft, StepDraft, StepTask

if TYPE_CHECKING:
    from zenml.engine.observer import RunObserver
    from zenml.model.deployment import Deployment, StepSpec
    from zenml.model.runs import ArtifactRecord, CachedResult, RunRegistration, StepOutcome
    from zenml.orchestrators import Executor
    from zenml.stack import Stack
    from zenml.steps import BaseStep

logger = logging.getLogger("zenml.run")


@dataclass(frozen=True)
class RunResult:
    """How a run ended. `exception` is the first failing step's; `failed` names that step."""

    run_id: int
    status: ExecutionStatus
    exception: BaseException | None = None
    failed: str | None = None


def execute(deployment: Deployment, steps: Mapping[str, BaseStep], stack: Stack) -> RunResult:
    """Run a deployment to its end, and record it. A failing step does not raise: the others end, its dependants are skipped.

    Args:
        deployment: what to run.
        steps: the deployment's steps by name, as code.
        stack: the deployment's stack.

    Raises:
        DuplicateRunNameError: the metadata store has a run of that name; nothing is recorded.
        StoreError: a store cannot be used.
    """
    observer = present_observer()
    started = time.perf_counter()
    registration = stack.metadata_store.register_run(
        RunDraft(
            pipeline=deployment.pipeline,
            name=deployment.run_name,
            uuid=deployment.run_uuid,
            stack=deployment.stack.name,
            deployment=canonical(deployment.to_document()),
            runtime_configuration=deployment.runtime_configuration,
            steps=[StepDraft(s.name, s.entrypoint_name, s.parameters, s.docstring) for s in deployment.steps],
            owner=this_process(),
            lease_until=time.time() + LEASE,
            zenml_version=deployment.zenml_version,
            git_sha=deployment.git_sha,
        )
    )
    observer.run_started(deployment)
    run = _Run(deployment, steps, stack, registration, observer)
    try:
        with Cleanup(stack.cleanup_pipeline_run, lambda: run.first_failure is not None):
            stack.prepare_pipeline_run()
            run.control()
    except BaseException as error:
        status = ExecutionStatus.FAILED if isinstance(error, Exception) else ExecutionStatus.CANCELLED
        try:
            run.abandon(f"the run {ended(status)}")
            stack.metadata_store.finish_run(registration.run_id, status, error_record(error))
        except StoreError as failure:
            # What ended the run is raised, not that its end could not be recorded: a reader will find it crashed.
            logger.warning("The end of the run `%s` is not recorded: %s", deployment.run_name, failure)
        observer.run_finished(status, time.perf_counter() - started)
        if isinstance(error, SystemExit) and not error.code:
            # Whoever waits for this process must not take it for a success.
            raise RunError(
                f"A step of the run '{deployment.run_name}' ended the process with exit(), as if all were well: return from the step, or "
                "raise an exception."
            ) from error
        raise
    status = ExecutionStatus.FAILED if run.first_failure else ExecutionStatus.COMPLETED
    first = run.first_failure
    stack.metadata_store.finish_run(registration.run_id, status, first.error if first else None)
    observer.run_finished(status, time.perf_counter() - started)
    return RunResult(
        registration.run_id, status, first.exception if first else None, first.task.step if first else None
    )


class _Run:
    """The state of one run."""

    def __init__(
        self,
        deployment: Deployment,
        steps: Mapping[str, BaseStep],
        stack: Stack,
        registration: RunRegistration,
        observer: RunObserver,
    ) -> None:
        self._deployment = deployment
        self._stack = stack
        self._store = stack.metadata_store
        self._ids = registration.step_run_ids
        self._run_id = registration.run_id
        self._observer = observer
        self._runner = Runner(deployment, steps, stack)
        self._position = {step.name: position for position, step in enumerate(deployment.steps)}
        self._waits_for = {step.name: len(set(step.upstream)) for step in deployment.steps}
        self._dependants: dict[str, list[str]] = {step.name: [] for step in deployment.steps}
        for step in deployment.steps:
            for upstream in dict.fromkeys(step.upstream):
                self._dependants[upstream].append(step.name)
        self._ready = [position for name, position in self._position.items() if not self._waits_for[name]]
        self._outputs: dict[str, dict[str, ArtifactRecord]] = {}
        self._open = set(self._position)
        self._hits: list[CacheHit] = []
        self._known: dict[str, CachedResult] = {}
        self._started: dict[str, float] = {}
        self.first_failure: StepOutcome | None = None

    def control(self) -> None:
        """Bring every step to its end."""
        caching = any(step.enable_cache for step in self._deployment.steps)
        if caching:
            self._known.update(
                self._store.recent_results(self._deployment.pipeline, self._stack.artifact_store.path)
            )
        with ExitStack() as executors:
            own = executors.enter_context(
                self._stack.orchestrator.executor(self._deployment, self._stack, self._runner)
            )
            operator: Executor | None = None
            if self._stack.step_operator is not None:
                operator = executors.enter_context(StepOperatorExecutor(self._deployment, self._stack))
            under_way: dict[Executor, int] = {own: 0}
            while self._ready or any(under_way.values()):
                while self._ready:
                    spec = self._deployment.steps[self._ready[0]]
                    executor = operator if spec.step_operator and operator else own
                    task = self._task(spec)
                    if not executor.has_room(task):
                        break
                    heapq.heappop(self._ready)
                    if spec.enable_cache and self._hit(spec, task):
                        continue
                    self._record_hits()
                    self._started[spec.name] = time.perf_counter()
                    self._observer.step_started(spec.name)
                    under_way[executor] = under_way.get(executor, 0) + 1
                    executor.submit(task)
                for executor, count in under_way.items():
                    for outcome in executor.wait() if count else ():
                        under_way[executor] -= 1
                        self._settle(outcome)
            self._record_hits()

    def abandon(self, reason: str) -> None:
        """Skip what has not ended."""
        self._record_hits()
        # A step that was being executed has recorded its end itself; the store leaves what has ended as it is.
        self._store.skip_steps(
            {self._ids[name]: reason for name in sorted(self._open, key=self._position.__getitem__)}
        )

    def _task(self, spec: StepSpec) -> StepTask:
        inputs = {name: self._outputs[source.step][source.output] for name, source in spec.inputs.items()}
        return StepTask(
            self._run_id, self._ids[spec.name], spec.name, cache_key(fixed_parts(spec), inputs), inputs
        )

    def _hit(self, spec: StepSpec, task: StepTask) -> bool:
        result = self._known.get(task.key.digest)
        if result is None:
            root = self._stack.artifact_store.path
            result = self._store.find_results((task.key.digest,), root).get(task.key.digest)
        if result is None or any(check_present(a, self._stack.artifact_store) for a in result.artifacts):
            return False
        for component in self._stack.step_hooks:
            component.prepare_step_run()
            component.cleanup_step_run()
        inputs = {name: artifact.id for name, artifact in task.inputs.items()}
        self._hits.append(CacheHit(task.step_run_id, task.key, inputs, result.step_run_id))
        self._observer.step_cached(spec.name)
        self._succeed(spec.name, result.artifacts)
        return True

    def _record_hits(self) -> None:
        if self._hits:
            self._store.record_hits(self._hits)
            self._hits = []

    def _settle(self, outcome: StepOutcome) -> None:
        name = outcome.task.step
        seconds = time.perf_counter() - self._started.pop(name)
        self._observer.step_finished(name, outcome.status, seconds, outcome.error)
        if outcome.status is ExecutionStatus.COMPLETED:
            self._succeed(name, outcome.artifacts)
        else:
            self._open.discard(name)
            if self.first_failure is None:
                self.first_failure = outcome
            self._skip_dependants(name, outcome.status)

    def _succeed(self, name: str, artifacts: tuple[ArtifactRecord, ...]) -> None:
        self._open.discard(name)
        self._outputs[name] = {artifact.name: artifact for artifact in artifacts}
        for dependant in self._dependants[name]:
            self._waits_for[dependant] -= 1
            if not self._waits_for[dependant]:
                heapq.heappush(self._ready, self._position[dependant])

    def _skip_dependants(self, name: str, status: ExecutionStatus) -> None:
        skipped: dict[int, str] = {}
        queue = [(name, f"it needs the step '{name}', which {ended(status)}")]
        while queue:
            upstream, reason = queue.pop()
            for dependant in self._dependants[upstream]:
                if dependant in self._open:
                    self._open.discard(dependant)
                    skipped[self._ids[dependant]] = reason
                    self._observer.step_skipped(dependant, reason)
                    queue.append(
                        (dependant, f"it needs the step '{dependant}', which was skipped because of '{name}'")
                    )
        if skipped:
            self._store.skip_steps(skipped)
