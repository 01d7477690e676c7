"""Runs that Slurm is given as whole graphs: they pass the suite, and some end with nobody there."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest

from zenml.enums import ExecutionStatus
from zenml.exceptions import ConfigurationError, StackValidationError
from zenml.integrations.slurm.orchestrators import SlurmOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.post_execution import PipelineRunView
from zenml.stack import Stack
from zenml.testing.assertions import assert_cached, assert_ran, assert_skipped
from zenml.testing.conformance import OrchestratorConformance, programs
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

pytestmark = [pytest.mark.usefixtures("slurm"), pytest.mark.timeout(240)]

SECONDS = 90


class TestSlurmGraph(OrchestratorConformance):
    cannot: ClassVar[dict[str, str]] = {"map": "the jobs of a run are submitted before it begins"}
    width = 4

    @pytest.fixture
    def orchestrator(self, tmp_path: Path) -> BaseOrchestrator:
        return SlurmOrchestrator(
            name="slurm", path=str(tmp_path / "jobs"), poll_seconds=0.2, submission="graph"
        )


@contextmanager
def on_slurm(tmp_path: Path, **fields: object) -> Iterator[Stack]:
    fields = {"path": str(tmp_path / "jobs"), "poll_seconds": 0.2, "submission": "graph", **fields}
    with isolated_stack(tmp_path / "world", orchestrator=SlurmOrchestrator(name="slurm", **fields)) as stack:
        yield stack


def jobs_of(run: PipelineRunView) -> int:
    """How many jobs the cluster was given for it."""
    told = subprocess.check_output(["squeue", "--noheader", "--states=all", "--format=%k"], text=True)
    return sum(run.name in line for line in told.splitlines())


def test_all_jobs_are_submitted_at_once_and_what_is_known_costs_none(tmp_path: Path) -> None:
    with on_slurm(tmp_path):
        run = programs.chain(length=2).run()
        assert_ran(run)
        again = programs.chain(length=2).run()
        assert_cached(again)
    assert (jobs_of(run), jobs_of(again)) == (len(run.steps), 0)
    assert not list((tmp_path / "jobs").iterdir())


def test_nobody_waits_and_the_run_ends_by_itself(tmp_path: Path) -> None:
    with on_slurm(tmp_path, synchronous=False):
        assert programs.conditional(value=11).run().status is ExecutionStatus.RUNNING
        run = ended()
        assert run.status is ExecutionStatus.COMPLETED
        assert_ran(run, "found", "large")
        assert_skipped(run, "small")
        programs.broken().run()
        run = ended()
        assert run.status is ExecutionStatus.FAILED
        assert run.get_step("beside_too").status is ExecutionStatus.COMPLETED
        assert_skipped(run, "behind")
        deadline = time.monotonic() + SECONDS  # the last job ends after the run
        while len(left := sorted(path.name for path in (tmp_path / "jobs").iterdir())) > 1:
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        assert left[0].startswith("z-broken-fail-")


def ended() -> PipelineRunView:
    """The last run, when it has ended."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if (run := last_run()).status.is_finished:
            return run
        time.sleep(0.2)
    raise AssertionError("the run does not end")


def test_mapped_steps_are_refused(tmp_path: Path) -> None:
    with on_slurm(tmp_path), pytest.raises(StackValidationError, match="its `submission` is 'graph'"):
        programs.mapped(count=2).run()


def test_without_a_graph_somebody_has_to_wait() -> None:
    with pytest.raises(ConfigurationError, match="set submission to 'graph'"):
        SlurmOrchestrator(name="slurm", synchronous=False)
