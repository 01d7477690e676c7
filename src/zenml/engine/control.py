"""Bringing the steps of a run to their ends: order, cache decisions, retries, time limits, cancellation."""

from __future__ import annotations

import heapq
import logging
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from zenml.engine.cache import cache_key, fixed_parts
from zenml.engine.decisions import Decisions, Miss
from zenml.engine.errors import error_record
from zenml.engine.frontier import Frontier
from zenml.engine.observer import ended
from zenml.engine.operators import operator_executor
from zenml.engine.runner import Runner, is_retried
from zenml.engine.spread import Spread, spread
from zenml.enums import ExecutionStatus
from zenml.exceptions import RunCancelledError, StepCrashedError, StepTimeoutError, StoreError
from zenml.liveness import LEASE, keeping
from zenml.materializers.values import read_value
from zenml.model.runs import CacheHit, Ending, StepOutcome, StepTask
from zenml.steps.conditions import holds, words
from zenml.steps.hooks import call_hook

if TYPE_CHECKING:
    from zenml.engine.observer import RunObserver
    from zenml.model.deployment import Deployment, StepSpec
    from zenml.model.runs import ArtifactRecord, CachedResult, CacheKey, Origin, RunRegistration
    from zenml.orchestrators import Executor
    from zenml.stack import Stack
    from zenml.steps import BaseStep

logger = logging.getLogger("zenml.run")

_LOOK = 1.0
"""Seconds between two looks whether somebody asked for the end of the run."""

_IN_FLIGHT = 0.2
"""Seconds between two looks at a step that another run executes."""

_LONGEST_IN_FLIGHT = 3600.0
"""Seconds for which a step waits at the most for another run that computes the same."""

_STALE = 1.0
"""Seconds after which it is asked again whether there is a result by now."""

_STOPPING = 30.0
"""Seconds for which the end of cancelled steps is waited for; an executor ends them in less."""


@dataclass(frozen=True)
class Past:
    """What a run takes over from an earlier one: results by the digest of their key. The steps `again` are executed all the same."""

    origin: Origin
    results: Mapping[str, CachedResult]
    again: frozenset[str] = frozenset()


@dataclass(eq=False, slots=True)
class _Node:
    """A step, or an instance of a mapped one, that is on its way."""

    spec: StepSpec
    position: int
    index: int
    step_run_id: int
    task: StepTask | None = None
    decided: float = 0.0
    attempts: int = 0
    started: float = 0.0
    deadline: float | None = None
    timed_out: bool = False
    waits_since: float | None = None

    @property
    def label(self) -> str:
        return self.spec.name if self.index < 0 else f"{self.spec.name}[{self.index}]"

    def __lt__(self, other: _Node) -> bool:
        return (self.position, self.index) < (other.position, other.index)


@dataclass(eq=False, slots=True)
class _Group:
    """A mapped step whose instances are on their way."""

    node: _Node
    spread: Spread
    left: int
    started: float
    outputs: list[dict[str, ArtifactRecord]]
    all_cached: bool
    ids: list[int]
    open: set[int] = field(default_factory=set)
    failure: StepOutcome | None = None


class Control:
    """The state of one run: what is where on its way."""

    def __init__(
        self,
        deployment: Deployment,
        steps: Mapping[str, BaseStep],
        stack: Stack,
        *,
        registration: RunRegistration,
        observer: RunObserver,
        past: Past | None,
    ) -> None:
        self._deployment = deployment
        self._steps = steps
        self._stack = stack
        self._store = stack.metadata_store
        self._ids = registration.step_run_ids
        self._run_id = registration.run_id
        self._observer = observer
        self._again = past.again if past else frozenset()
        self._decisions = Decisions(deployment, stack, past.results if past else None)
        self._runner = Runner(deployment, steps, stack)
        self._position = {step.name: position for position, step in enumerate(deployment.steps)}
        self._frontier = Frontier(deployment)
        self._outputs: dict[str, dict[str, ArtifactRecord]] = {}
        self._groups: dict[str, _Group] = {}
        self._hits: list[CacheHit] = []
        # Where a node is, in the order of its way; it is in one place at a time.
        self._ready = [self._node(name) for name in self._frontier.first]
        self._startable: dict[int, list[_Node]] = {}
        self._under_way: dict[int, tuple[_Node, Executor]] = {}
        self._delayed: list[tuple[float, _Node]] = []
        self._in_flight: dict[_Node, int] = {}
        now = time.monotonic()
        self._next_look = now + _LOOK
        self._next_renewal = now + LEASE / 3
        self.first_failure: StepOutcome | None = None
        self.is_handed_over = False
        """Whether the run goes on without this process."""

    def control(self) -> None:
        """Bring every step to its end."""
        self._decisions.prefetch()
        with keeping(self._store, self._run_id):
            executor = self._stack.orchestrator.executor(self._deployment, self._stack, self._runner)
            self._execute(executor)

    def _execute(self, executor: Executor) -> None:
        with ExitStack() as executors:
            self._own = executors.enter_context(executor)
            self._operator: Executor | None = None
            operator = self._stack.step_operator
            if operator is not None and any(step.step_operator for step in self._deployment.steps):
                self._operator = executors.enter_context(
                    operator_executor(operator, self._deployment, self._stack)
                )
            try:
                while self._ready or self._startable or self._under_way or self._delayed or self._in_flight:
                    self._prepare()
                    self._start()
                    self._collect()
                    self._tend()
            except BaseException:
                self._stop()
                raise
            self._record_hits()

    def cause(self, error: BaseException) -> BaseException:
        """What is to be raised for what ended the run: an interrupt that somebody asked for is a cancellation."""
        if isinstance(error, KeyboardInterrupt):
            with suppress(StoreError):
                if self._store.is_cancel_requested(self._run_id):
                    return self._cancelled()
        return error

    def abandon(self, status: ExecutionStatus) -> None:
        """End what has not ended."""
        self._record_hits()
        reason = f"the run {ended(status)}"
        # A step that was being executed has recorded its end itself; the store leaves what has ended as it is.
        skipped: dict[int, str] = {}
        for name in self._frontier.open:
            if (group := self._groups.get(name)) is None:
                skipped[self._ids[name]] = reason
            else:
                skipped |= {group.ids[index]: reason for index in sorted(group.open)}
        self._store.skip_steps(skipped)
        for name in self._groups.keys() & self._frontier.open:
            self._store.end_mapped(self._ids[name], status)

    # The way of a node: ready, startable, under way, and back for another attempt.

    def _node(self, name: str) -> _Node:
        position = self._position[name]
        return _Node(self._deployment.steps[position], position, -1, self._ids[name])

    def _prepare(self) -> None:
        """Take what is ready, until something is to be executed: skip it, spread it, or find its result."""
        while self._ready:
            node = heapq.heappop(self._ready)
            spec = node.spec
            try:
                if spec.when is not None and node.index < 0 and not self._holds(node):
                    continue
                if spec.is_mapped and node.index < 0:
                    self._expand(node)
                elif not self._hit(node):
                    apart = spec.step_operator or spec.resources or spec.timeout
                    bucket = self._startable.setdefault(node.position if apart else -1, [])
                    heapq.heappush(bucket, node)
                    return  # it is started before the next one is looked at
            except Exception as error:
                if isinstance(error, StoreError):
                    raise
                record = error_record(error)
                self._store.fail_step(node.step_run_id, record)
                task = node.task or StepTask(
                    self._run_id, node.step_run_id, spec.name, cache_key({}, {}), {}, node.index
                )
                self._fail(
                    node, StepOutcome(task, ExecutionStatus.FAILED, error=record, exception=error), 0.0
                )

    def _start(self) -> None:
        """Submit what there is room for."""
        for key, bucket in sorted(self._startable.items(), key=lambda item: item[1][0]):
            while bucket:
                node = bucket[0]
                executor = self._operator if node.spec.step_operator and self._operator else self._own
                assert node.task is not None  # noqa: S101 - made when the node was prepared
                if not executor.has_room(node.task):
                    break
                heapq.heappop(bucket)
                if time.monotonic() - node.decided > _STALE and self._hit(node):
                    continue
                self._submit(node, executor)
            if not bucket:
                del self._startable[key]

    def _submit(self, node: _Node, executor: Executor) -> None:
        assert node.task is not None  # noqa: S101 - as above
        self._record_hits()
        node.attempts += 1
        node.timed_out = False
        node.started = time.perf_counter()
        node.deadline = None
        if node.attempts == 1 and node.waits_since is None:
            self._observer.step_started(node.label)
        self._under_way[node.step_run_id] = node, executor
        try:
            executor.submit(node.task)
        except BaseException:
            # Interrupted: no outcome of it will come. In this process, the step's end is recorded already.
            del self._under_way[node.step_run_id]
            self._record_cancelled(node)
            raise
        if node.spec.timeout is not None and not executor.keeps_timeouts:
            node.deadline = time.monotonic() + node.spec.timeout

    def _collect(self) -> None:
        """Wait until something ends, or something is due."""
        if not (self._under_way or self._delayed or self._in_flight):
            return
        patience = 0.0 if self._ready else self._patience()
        executors = list(dict.fromkeys(executor for _, executor in self._under_way.values()))
        if not executors:
            time.sleep(patience)
        for executor in executors:
            for outcome in executor.wait(patience if len(executors) == 1 else min(patience, 0.05)):
                self._settle(outcome)

    def _patience(self) -> float:
        now = time.monotonic()
        due = [self._next_look, self._next_renewal]
        due += [node.deadline for node, _ in self._under_way.values() if node.deadline and not node.timed_out]
        if self._delayed:
            due.append(self._delayed[0][0])
        if self._in_flight:
            due.append(now + _IN_FLIGHT)
        return max(0.0, min(due) - now)

    def _tend(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK
            if self._store.is_cancel_requested(self._run_id):
                raise self._cancelled()
        if now >= self._next_renewal:
            self._next_renewal = now + LEASE / 3
            self._renew()
        for node, executor in list(self._under_way.values()):
            if node.deadline is not None and now >= node.deadline and not node.timed_out:
                assert node.task is not None  # noqa: S101 - it was submitted
                node.timed_out = True
                executor.cancel(node.task)
        while self._delayed and self._delayed[0][0] <= now:
            heapq.heappush(self._ready, heapq.heappop(self._delayed)[1])
        for node, other in list(self._in_flight.items()):
            assert node.waits_since is not None and node.task is not None  # noqa: S101, PT018 - it is in flight
            if now - node.waits_since > _LONGEST_IN_FLIGHT:
                node.task = replace(node.task, shares=False)
            elif not self._store.step(other).status.is_finished:
                continue
            del self._in_flight[node]
            heapq.heappush(self._ready, node)

    def _renew(self) -> None:
        self._store.renew_lease(self._run_id, time.time() + LEASE)

    def _stop(self) -> None:
        """End what is under way, whatever its code does, and record that it was cancelled."""
        with suppress(StoreError):
            self._record_hits()
        for node, executor in list(self._under_way.values()):
            if node.task is not None:
                executor.cancel(node.task)
        patience = time.monotonic() + _STOPPING
        while self._under_way and time.monotonic() < patience:
            for executor in {executor for _, executor in self._under_way.values()}:
                for outcome in executor.wait(0.1):
                    node, _ = self._under_way.pop(outcome.task.step_run_id)
                    if outcome.status is not ExecutionStatus.PENDING and not outcome.is_recorded:
                        self._record_cancelled(node)

    def _record_cancelled(self, node: _Node) -> None:
        with suppress(StoreError):
            self._store.fail_step(
                node.step_run_id, error_record(self._cancelled()), status=ExecutionStatus.CANCELLED
            )

    def _cancelled(self) -> RunCancelledError:
        return RunCancelledError(
            f"The run '{self._deployment.run_name}' was cancelled. Go on with what is finished by "
            f"`zenml pipeline runs resume {self._deployment.run_name}`."
        )

    # Before a step is executed.

    def _holds(self, node: _Node) -> bool:
        when = node.spec.when
        assert when is not None  # noqa: S101 - asked by the caller
        value = read_value(self._outputs[when.step][when.output], self._stack.artifact_store)
        if holds(when, value):
            return True
        skipped, ready = self._frontier.leave_out(node.spec.name)
        self._skip({node.spec.name: f"its condition does not hold: {words(when)}", **skipped})
        self._let_go(ready)
        return False

    def _expand(self, node: _Node) -> None:
        spec = node.spec
        started = time.perf_counter()
        whole = {
            name: self._outputs[source.step][source.output]
            for name, source in spec.inputs.items()
            if source.mode == "items"
        }
        twins = [
            len(self._groups[source.step].outputs) for source in spec.inputs.values() if source.mode == "same"
        ]
        expanded = spread(
            spec,
            whole,
            twins,
            step_run_id=node.step_run_id,
            deployment=self._deployment,
            stack=self._stack,
            decide=self._decide,
        )
        count = len(expanded.ids)
        group = _Group(
            node,
            expanded,
            count,
            started,
            [{} for _ in range(count)],
            expanded.is_cached,
            expanded.ids,
            set(range(count)),
        )
        self._groups[spec.name] = group
        self._observer.step_expanded(spec.name, count)
        for index, id_ in enumerate(expanded.ids):
            heapq.heappush(self._ready, _Node(spec, node.position, index, id_))
        if not count:
            self._end_group(group)

    def _task(self, node: _Node) -> StepTask:
        spec = node.spec
        inputs: dict[str, ArtifactRecord] = {}
        for name, source in spec.inputs.items():
            if source.mode == "value":
                inputs[name] = self._outputs[source.step][source.output]
            elif source.mode == "items":
                inputs[name] = self._groups[spec.name].spread.items[name][node.index]
            elif source.mode == "same":
                inputs[name] = self._groups[source.step].outputs[node.index][source.output]
            else:
                for index, outputs in enumerate(self._groups[source.step].outputs):
                    inputs[f"{name}[{index}]"] = outputs[source.output]
        key = cache_key(fixed_parts(spec, node.index), inputs)
        shares = spec.enable_cache and spec.name not in self._again
        return StepTask(
            self._run_id, node.step_run_id, spec.name, key, inputs, map_index=node.index, shares=shares
        )

    def _hit(self, node: _Node) -> bool:
        """Whether the step takes an earlier result; it has its task then, whatever the answer."""
        task = node.task = node.task or self._task(node)
        node.decided = time.monotonic()
        result = self._decide(node.spec, task.key)
        if isinstance(result, Miss):
            if result.reason != task.reason:
                node.task = replace(task, reason=result.reason)
            return False
        for component in self._stack.step_hooks:
            component.prepare_step_run()
            component.cleanup_step_run()
        inputs = {name: artifact.id for name, artifact in task.inputs.items()}
        self._hits.append(CacheHit(task.step_run_id, task.key, inputs, result.step_run_id))
        self._observer.step_cached(node.label)
        self._succeed(node, result.artifacts, cached=True)
        return True

    def _decide(self, spec: StepSpec, key: CacheKey) -> CachedResult | Miss:
        if spec.name in self._again:
            return Miss("it was asked to run again")
        return self._decisions.decide(spec, key)

    def _record_hits(self) -> None:
        if self._hits:
            self._store.record_hits(self._hits)
            self._hits = []

    # After an attempt.

    def _settle(self, outcome: StepOutcome) -> None:
        node, _ = self._under_way.pop(outcome.task.step_run_id)
        if outcome.in_flight is not None:
            node.attempts -= 1
            if node.waits_since is None:
                node.waits_since = time.monotonic()
                logger.info("Step `%s` waits for another run that computes the same.", node.label)
            self._in_flight[node] = outcome.in_flight
            return
        seconds = time.perf_counter() - node.started
        if outcome.status is ExecutionStatus.COMPLETED:
            self._observer.step_finished(node.label, outcome.status, seconds, None)
            self._call_hook(node, outcome)
            self._succeed(node, outcome.artifacts)
            return
        if not outcome.is_recorded:
            outcome = self._record_end(node, outcome)
        if outcome.status is ExecutionStatus.CANCELLED and self._store.is_cancel_requested(self._run_id):
            raise self._cancelled()  # the step's own process has seen it first
        if outcome.final:
            self._fail(node, outcome, seconds)
            return
        retry = node.spec.retry
        assert retry is not None and outcome.error is not None  # noqa: S101, PT018 - or it were final
        delay = min(retry.delay * retry.backoff ** (node.attempts - 1), retry.max_delay)
        self._observer.step_retried(node.label, node.attempts + 1, outcome.error, delay)
        heapq.heappush(self._delayed, (time.monotonic() + delay, node))

    def _record_end(self, node: _Node, outcome: StepOutcome) -> StepOutcome:
        """Record what the attempt's process could not: it was ended, or died."""
        status, exception = outcome.status, outcome.exception
        if node.timed_out:
            status = ExecutionStatus.FAILED
            exception = StepTimeoutError(
                f"The step '{node.label}' took longer than its timeout of {node.spec.timeout:g} seconds, and was ended."
            )
        elif exception is None:
            exception = StepCrashedError(f"The process that executed the step '{node.label}' has died.")
        error = error_record(exception)
        final = not is_retried(node.spec.retry, node.attempts, exception)
        self._store.fail_step(node.step_run_id, error, status=status, final=final)
        return replace(
            outcome, status=status, error=error, exception=exception, final=final, is_recorded=True
        )

    def _succeed(self, node: _Node, artifacts: tuple[ArtifactRecord, ...], *, cached: bool = False) -> None:
        outputs = {artifact.name: artifact for artifact in artifacts}
        if node.index < 0:
            self._outputs[node.spec.name] = outputs
            self._let_go(self._frontier.end(node.spec.name))
            return
        group = self._groups[node.spec.name]
        group.outputs[node.index] = outputs
        group.all_cached = group.all_cached and cached
        self._instance_ended(group, node)

    def _fail(self, node: _Node, outcome: StepOutcome, seconds: float) -> None:
        self._observer.step_finished(node.label, outcome.status, seconds, outcome.error)
        self._call_hook(node, outcome)
        if self.first_failure is None:
            self.first_failure = outcome
        if node.index < 0:
            self._skip(self._frontier.fail(node.spec.name, outcome.status))
            return
        group = self._groups[node.spec.name]
        group.failure = group.failure or outcome
        group.all_cached = False
        self._instance_ended(group, node)

    def _instance_ended(self, group: _Group, node: _Node) -> None:
        group.left -= 1
        group.open.discard(node.index)
        if not group.left:
            self._end_group(group)

    def _end_group(self, group: _Group) -> None:
        self._record_hits()
        node = group.node
        seconds = time.perf_counter() - group.started
        if group.failure is not None:
            status, error = ExecutionStatus.FAILED, group.failure.error
        else:
            status, error = ExecutionStatus.CACHED if group.all_cached else ExecutionStatus.COMPLETED, None
        self._store.end_mapped(node.step_run_id, status, error)
        if status is ExecutionStatus.CACHED:
            self._observer.step_cached(node.label)
        else:
            self._observer.step_finished(node.label, status, seconds, error)
        if error is None:
            self._let_go(self._frontier.end(node.spec.name))
        else:
            self._skip(self._frontier.fail(node.spec.name, status))

    def _let_go(self, names: Iterable[str]) -> None:
        for name in names:
            heapq.heappush(self._ready, self._node(name))

    def _skip(self, reasons: Mapping[str, str]) -> None:
        if reasons:
            for name, reason in reasons.items():
                self._observer.step_skipped(name, reason)
            self._store.skip_steps({self._ids[name]: reason for name, reason in reasons.items()})

    def _call_hook(self, node: _Node, outcome: StepOutcome) -> None:
        step = self._steps[node.spec.name]
        hook = step.on_success if outcome.status is ExecutionStatus.COMPLETED else step.on_failure
        if hook is not None:
            pipeline, run = self._deployment.pipeline, self._deployment.run_name
            call_hook(
                hook, Ending(pipeline, run, outcome.status, node.label, outcome.error, outcome.exception)
            )
