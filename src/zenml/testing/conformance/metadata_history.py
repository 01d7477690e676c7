"""Whatever may happen to the steps of runs, in any order, against a model of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)

from zenml.enums import ExecutionStatus
from zenml.exceptions import StaleAttemptError
from zenml.testing.conformance.recording import ERROR, artifact, hit, instances, register, start

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.runs import Claim


class History(RuleBasedStateMachine):
    """Whatever the engine may do, in any order; what is recorded is compared with dictionaries."""

    store: BaseMetadataStore

    steps = Bundle("steps")
    claims = Bundle("claims")

    def __init__(self) -> None:
        super().__init__()
        self.world = str(uuid4())  # servers keep what earlier examples wrote
        self.status: dict[int, ExecutionStatus] = {}
        self.token: dict[int, int] = {}
        self.attempts: dict[int, int] = {}
        self.keys: dict[int, str] = {}
        self.ended: dict[int, ExecutionStatus] = {}
        self.latest: dict[str, int] = {}
        self.source: dict[int, int] = {}
        self.published: dict[int, list[str]] = {}
        self.spread: set[int] = set()
        self.run_of: dict[int, int] = {}
        self.runs = 0

    @rule(target=steps, count=st.integers(1, 3))
    def run(self, count: int) -> Any:
        self.runs += 1
        run = register(
            self.store,
            f"{self.world} {self.runs}",
            pipeline=self.world,
            steps=[f"s{i}" for i in range(count)],
        )
        for id in run.step_run_ids.values():
            self.add(id, run.run_id)
        return multiple(*run.step_run_ids.values())

    def add(self, step: int, run: int) -> None:
        self.status[step] = ExecutionStatus.PENDING
        self.attempts[step] = 0
        self.run_of[step] = run

    @rule(target=claims, step=steps, name=st.sampled_from("pqr"))
    def start(self, step: int, name: str) -> Any:
        digest = f"{self.world} {name}"[-64:]
        if self.status[step].is_finished or step in self.spread:
            with pytest.raises(StaleAttemptError):
                start(self.store, step, digest)
            return multiple()
        claim = start(self.store, step, digest)
        assert claim.token > self.token.get(step, 0)
        self.attempts[step] += 1
        assert claim.number == self.attempts[step]
        self.token[step] = claim.token
        self.keys[step] = digest
        self.status[step] = ExecutionStatus.RUNNING
        return claim

    def holds(self, claim: Claim) -> bool:
        step = claim.step_run_id
        running = self.status[step] is ExecutionStatus.RUNNING and step not in self.spread
        return running and self.token[step] == claim.token

    @rule(claim=claims, names=st.lists(st.sampled_from("xyz"), unique=True, max_size=2))
    def complete(self, claim: Claim, names: list[str]) -> None:
        artifacts = [artifact(name) for name in names]
        if not self.holds(claim):
            with pytest.raises(StaleAttemptError):
                self.store.complete_attempt(claim, artifacts)
            return
        self.store.complete_attempt(claim, artifacts)
        step = claim.step_run_id
        self.status[step] = ExecutionStatus.COMPLETED
        self.published[step] = names
        self.latest[self.keys[step]] = max(step, self.latest.get(self.keys[step], 0))

    @rule(target=steps, claim=claims, width=st.integers(0, 2))
    def expand(self, claim: Claim, width: int) -> Any:
        step = claim.step_run_id
        if self.holds(claim) and self.store.step(step).map_index >= 0:
            return multiple()  # an instance is not mapped itself
        items = [artifact(f"x[{index}]") for index in range(width)]
        drafts = instances(self.store.step(step).name, width)
        if not self.holds(claim):
            with pytest.raises(StaleAttemptError):
                self.store.expand_step(claim, items, drafts)
            return multiple()
        _, ids = self.store.expand_step(claim, items, drafts)
        self.spread.add(step)
        self.published[step] = [item.name for item in items]
        self.latest[self.keys[step]] = max(step, self.latest.get(self.keys[step], 0))
        for id in ids:
            self.add(id, self.run_of[step])
        return multiple(*ids)

    @rule(step=steps, status=st.sampled_from([ExecutionStatus.COMPLETED, ExecutionStatus.FAILED]))
    def end_mapped(self, step: int, status: ExecutionStatus) -> None:
        if step in self.spread:
            self.store.end_mapped(step, status)
            self.end(step, status)

    @rule(step=steps, status=st.sampled_from([ExecutionStatus.COMPLETED, ExecutionStatus.CANCELLED]))
    def finish(self, step: int, status: ExecutionStatus) -> None:
        self.store.finish_run(self.run_of[step], status)
        self.end_all(self.run_of[step])

    @rule(step=steps)
    def die(self, step: int) -> None:
        run = self.run_of[step]
        ended = self.store.run(run).status
        self.store.renew_lease(run, 1.0)
        assert self.store.run(run).status is (ended if ended.is_finished else ExecutionStatus.CRASHED)
        self.end_all(run)

    def end_all(self, run: int) -> None:
        for step, status in self.status.items():
            if self.run_of[step] == run:
                running = status is ExecutionStatus.RUNNING
                self.end(step, ExecutionStatus.CRASHED if running else ExecutionStatus.SKIPPED)

    def end(self, step: int, status: ExecutionStatus) -> None:
        if not self.status[step].is_finished:
            self.status[step] = status

    @rule(claim=consumes(claims), final=st.booleans())
    def fail(self, claim: Claim, *, final: bool) -> None:
        if not self.holds(claim):
            with pytest.raises(StaleAttemptError):
                self.store.fail_attempt(claim, ERROR, final=final)
            return
        self.store.fail_attempt(claim, ERROR, final=final)
        self.status[claim.step_run_id] = ExecutionStatus.FAILED if final else ExecutionStatus.PENDING

    @rule(step=steps)
    def give_up(self, step: int) -> None:
        self.store.fail_step(step, ERROR)
        self.end(step, ExecutionStatus.FAILED)

    @rule(step=steps)
    def skip(self, step: int) -> None:
        self.store.skip_steps({step: "because"})
        self.end(step, ExecutionStatus.SKIPPED)

    @precondition(lambda self: self.published)
    @rule(step=steps, source=st.data())
    def hit(self, step: int, source: Any) -> None:
        if step in self.spread:
            return
        candidates = sorted({*self.published, *self.source})
        via = source.draw(st.sampled_from(candidates))
        origin = self.source.get(via, via)
        hit(self.store, step, via, self.keys[origin])
        if not self.status[step].is_finished:
            self.status[step] = ExecutionStatus.CACHED
            self.source[step] = origin
            self.keys[step] = self.keys[origin]

    @invariant()
    def agrees(self) -> None:
        for step, status in self.status.items():
            record = self.store.step(step)
            assert (record.status, record.attempts) == (status, self.attempts[step])
            assert (record.ended is not None) == status.is_finished
            assert record.source == self.source.get(step)
            expected = self.published.get(self.source.get(step, step), [])
            assert list(self.store.outputs(step)) == expected
            running = [a for a in self.store.attempts(step) if not a.status.is_finished]
            assert len(running) <= (status is ExecutionStatus.RUNNING and step not in self.spread)
        found = self.store.find_results(set(self.keys.values()), "/store")
        assert {k: result.step_run_id for k, result in found.items()} == self.latest
