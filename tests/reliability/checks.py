"""What must hold whatever has happened."""

from __future__ import annotations

import time
from collections.abc import Callable

from zenml.materializers.values import check_content
from zenml.metadata_stores import BaseMetadataStore
from zenml.stack import Stack


def within(seconds: float, condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "this has not come true in time"
        time.sleep(0.01)


def is_settled(store: BaseMetadataStore, name: str) -> bool:
    """Whether nothing of a run says that it is going on."""
    run = store.run_by_name(name)
    if run is None:
        return True
    return run.status.is_finished and all(step.status.is_finished for step in store.steps(run.id))


def assert_sound(stack: Stack) -> None:
    """Nothing says that it runs, and every value that is recorded can be read."""
    store = stack.metadata_store
    for run in store.runs():
        assert run.status.is_finished, run
        for step in store.steps(run.id):
            assert step.status.is_finished, step
            for attempt in store.attempts(step.id):
                assert attempt.status.is_finished, attempt
            for artifact in store.outputs(step.id).values():
                assert check_content(artifact, stack.artifact_store) is None
