"""Runs with mapped, retried and failed steps, compared, moved and pruned."""

import sys
from datetime import timedelta
from pathlib import Path

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import ExecutionStatus
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.pipelines import pipeline
from zenml.post_execution import diff, import_run
from zenml.post_execution.prune import prune
from zenml.repository import Repository
from zenml.steps import Retry, step


@step
def settings(count: int) -> list[int]:
    sys.stdout.write("looking for settings\n")
    return list(range(count))


@step(retries=Retry(attempts=2))
def fit(x: int) -> float:
    if x == 1 and not Path("tried").exists():
        Path("tried").touch()
        raise ValueError("not yet")
    return x / 2


@step
def best(scores: list[float], limit: float) -> float:
    if max(scores) > limit:
        raise ValueError("too good to be true")
    return max(scores)


@pipeline
def search(count: int, limit: float):
    best(fit.map(settings(count=count)), limit=limit)


def test_a_mapped_run_with_failures_is_the_same_on_another_machine(tmp_path):
    with pytest.raises(ValueError, match="too good"):
        search(3, 0.5).run(run_name="failed")
    run = search(3, 5.0).run(run_name="good")
    stack = Repository().active_stack
    there = (
        SQLiteMetadataStore(name="there", uri=str(tmp_path / "there.db")),
        LocalArtifactStore(name="there", path=str(tmp_path / "there")),
    )
    for name in ("failed", "good"):
        original = run.pipeline.get_run(name)
        imported = import_run(*there, original.export(tmp_path / f"{name}.zip"))
        assert not diff(original, imported)
        assert [i.outputs["output"].read() for i in imported.get_step("fit").instances] == [0.0, 0.5, 1.0]
        assert [len(i.attempt_records) for i in imported.get_step("fit").instances] == (
            [1, 2, 1] if name == "failed" else [0, 0, 0]
        )
        assert imported.get_step("best").status is original.get_step("best").status
        assert [a.digest for a in imported.get_step("best").inputs.values()] == [
            a.digest for a in original.get_step("best").inputs.values()
        ]
    assert imported.get_step("best").output.read() == 1.0
    assert "looking for settings\n" in [log.read_text() for log in (tmp_path / "there").rglob("log.txt")]

    # At home, what the good run took from the failed one stays as long as that is kept.
    assert [one.run.name for one in prune(stack.metadata_store, stack.artifact_store, failed=True).runs] == []
    everything = prune(stack.metadata_store, stack.artifact_store, older_than=timedelta(0), dry_run=False)
    assert sum(one.artifacts for one in everything.runs) == 1 + 3 + 3 + 1
    again = search(3, 5.0).run()
    assert {s.status for s in again.steps} == {ExecutionStatus.COMPLETED}
