"""The smallest orchestrator whose engine runs jobs: each job is a process of this machine."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from zenml.enums import ExecutionStatus, Reach
from zenml.exceptions import RunError, StackValidationError, StepCrashedError
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.jobs.job import SECRETS_FILE
from zenml.orchestrators.job_orchestrator import JobOrchestrator
from zenml.testing import isolated_stack
from zenml.testing.assertions import assert_ran
from zenml.testing.conformance import programs
from zenml.testing.running import last_run


class Processes(JobEngine):
    max_jobs = 4
    poll_seconds = 0.05

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def submit(self, job: Job) -> str:
        environment = {**os.environ, **job.environment}
        if job.secrets is not None:
            path = self.folder / f"{job.name}.secrets"
            path.touch(mode=0o600)
            path.write_text(job.secrets)
            environment[SECRETS_FILE] = str(path)
        with (self.folder / f"{job.name}.log").open("wb") as log:
            self.processes[job.name] = subprocess.Popen(
                [sys.executable, *job.command[1:]],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return job.name

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        found = {}
        for id_ in ids:
            code = self.processes[id_].poll()
            if code is None:
                found[id_] = JobStatus(JobState.RUNNING)
            else:
                found[id_] = JobStatus(JobState.FAILED if code else JobState.SUCCEEDED, f"exit code {code}")
        return found

    def cancel(self, id: str) -> None:
        if self.processes[id].poll() is None:
            os.killpg(self.processes[id].pid, signal.SIGKILL)

    def log(self, id: str, lines: int = 20) -> list[str]:
        return (self.folder / f"{id}.log").read_text().splitlines()[-lines:]

    def remove(self, id: str) -> None:
        self.processes[id].wait()
        (self.folder / f"{id}.secrets").unlink(missing_ok=True)


class ProcessOrchestrator(JobOrchestrator):
    FLAVOR: ClassVar[str] = "processes"
    carries_secrets: ClassVar[bool] = True

    folder: Path

    @property
    def spread(self) -> Reach:
        return Reach.HOST

    def jobs(self) -> JobEngine:
        return Processes(self.folder)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The processes import this class.
    path = os.pathsep.join([str(Path(__file__).parents[3]), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)
    (tmp_path / "jobs").mkdir()
    return tmp_path / "jobs"


class Reticent(Processes):
    """Keeps what it was given."""

    given: ClassVar[list[Job]] = []

    def submit(self, job: Job) -> str:
        self.given.append(job)
        id_ = super().submit(job)
        assert stat.S_IMODE((self.folder / f"{id_}.secrets").stat().st_mode) == 0o600
        return id_


class FarOrchestrator(ProcessOrchestrator):
    """As if its jobs saw nothing of this machine's secrets."""

    def jobs(self) -> JobEngine:
        return Reticent(self.folder)


def test_secrets_travel_by_the_engines_own_channel_alone(folder: Path, tmp_path: Path) -> None:
    with isolated_stack(
        tmp_path / "world",
        secrets={"service": {"user": "correct-horse-battery"}},
        orchestrator=FarOrchestrator(name="far", folder=folder),
    ):
        run = programs.looking().run()
    assert run.get_step("look_around").output.read()["secret"] == "correct-horse-battery"
    for job in Reticent.given:
        assert job.secrets is not None
        assert "correct-horse-battery" in job.secrets
        assert "correct-horse-battery" not in repr((job.command, job.environment))
    assert not list(folder.glob("*.secrets"))


class Deaf(Processes):
    """Does not answer, once it has a job."""

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        raise EngineUnreachableError("The engine does not answer.")


class DeafOrchestrator(ProcessOrchestrator):
    def jobs(self) -> JobEngine:
        return Deaf(self.folder)


def test_what_a_step_has_recorded_counts_when_its_engine_is_gone(folder: Path, tmp_path: Path) -> None:
    with isolated_stack(tmp_path / "world", orchestrator=DeafOrchestrator(name="deaf", folder=folder)):
        assert_ran(programs.chain(length=2).run())


def test_a_step_whose_engine_is_gone_has_crashed_after_a_while(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zenml.orchestrators.job_executor._PATIENCE", 3.0)
    with isolated_stack(tmp_path / "world", orchestrator=DeafOrchestrator(name="deaf", folder=folder)):
        with pytest.raises(StepCrashedError, match="The engine does not answer"):
            programs.waiting().run()
        run = last_run()
    assert (run.status, run.get_step("wait").status) == (ExecutionStatus.FAILED, ExecutionStatus.CRASHED)


class Full(Processes):
    def submit(self, job: Job) -> str:
        raise RunError("The queue 'fast' is closed: choose another one by the field `queue`.")


class FullOrchestrator(ProcessOrchestrator):
    def jobs(self) -> JobEngine:
        return Full(self.folder)


def test_a_job_that_is_refused_fails_its_step_with_the_engines_reason(folder: Path, tmp_path: Path) -> None:
    with isolated_stack(tmp_path / "world", orchestrator=FullOrchestrator(name="full", folder=folder)):
        with pytest.raises(RunError, match="The queue 'fast' is closed"):
            programs.chain(length=2).run()
        statuses = [str(step.status) for step in last_run().steps]
    assert statuses[0] == "failed"
    assert set(statuses[1:]) == {"skipped"}


class NetworkOrchestrator(ProcessOrchestrator):
    carries_secrets: ClassVar[bool] = False

    @property
    def spread(self) -> Reach:
        return Reach.NETWORK


def test_what_jobs_elsewhere_cannot_reach_is_refused_before_the_run(folder: Path, tmp_path: Path) -> None:
    with isolated_stack(
        tmp_path / "world",
        secrets={"service": {"user": "ann"}},
        orchestrator=NetworkOrchestrator(name="net", folder=folder),
    ) as stack:
        with pytest.raises(StackValidationError) as refused:
            programs.looking().run()
        assert stack.metadata_store.count_runs() == 0
    for kind in ("artifact store", "metadata store", "secrets manager"):
        assert f"The {kind} '" in str(refused.value)
