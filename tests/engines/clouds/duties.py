"""What every engine of jobs in a cloud does."""

import time
from collections.abc import Callable

import pytest

from tests.engines.clouds.remote_stack import IMAGE
from zenml.exceptions import RunError
from zenml.jobs import Job, JobEngine, JobState, JobStatus

_SECONDS = 30.0


def job_of(code: str, name: str = "z-work-1", **changes) -> Job:
    return Job(
        **{
            "name": name,
            "command": ("python", "-c", code),
            "pipeline": "my pipeline",
            "run": "a run",
            "step": "work[3]",
            "image": IMAGE,
            **changes,
        }
    )


def until(engine: JobEngine, id: str, wanted: Callable[[JobStatus], bool]) -> JobStatus:
    deadline = time.monotonic() + _SECONDS
    while not wanted(status := engine.states([id])[id]):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


class JobEngineDuties:
    """A subclass gives `engine`."""

    def test_a_job_succeeds_and_its_log_is_read(self, engine: JobEngine) -> None:
        id = engine.submit(
            job_of("import os; print('first'); print(os.environ['WORD'])", environment={"WORD": "two words"})
        )
        assert until(engine, id, lambda s: s.state.is_finished).state is JobState.SUCCEEDED
        assert engine.log(id) == ["first", "two words"]
        assert engine.log(id, lines=1) == ["two words"]

    def test_a_job_fails_with_the_services_reason(self, engine: JobEngine) -> None:
        id = engine.submit(job_of("raise SystemExit('no good')", timeout=2.5))
        status = until(engine, id, lambda s: s.state.is_finished)
        assert status.state is JobState.FAILED
        assert "1" in status.reason
        assert engine.log(id) == ["no good"]

    def test_a_job_is_cancelled_once_and_for_all(self, engine: JobEngine) -> None:
        id = engine.submit(job_of("import time; print('begun', flush=True); time.sleep(600)"))
        deadline = time.monotonic() + _SECONDS
        while engine.log(id) != ["begun"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert not engine.states([id])[id].state.is_finished
        engine.cancel(id)
        assert until(engine, id, lambda s: s.state.is_finished).state is JobState.FAILED
        engine.cancel(id)

    def test_what_needs_secrets_is_refused(self, engine: JobEngine) -> None:
        secrets = '{"secrets": null, "environment": {"DATABASE_PASSWORD": "correct-horse"}}'
        with pytest.raises(RunError, match="no way to hand secrets on.* DATABASE_PASSWORD") as refused:
            engine.submit(job_of("0", secrets=secrets))
        assert "correct-horse" not in str(refused.value)

    def test_what_has_no_image_is_refused(self, engine: JobEngine) -> None:
        with pytest.raises(RunError, match="runs images alone, .* set the field `.*base_image`"):
            engine.submit(job_of("0", image=None))
