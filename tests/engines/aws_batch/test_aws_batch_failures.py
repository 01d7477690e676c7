"""What goes wrong on AWS Batch, and what is said then."""

import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.aws_batch import BASE_IMAGE, CREDENTIALS, client, make_queue
from tests.services import free_port
from zenml.enums import CheckOutcome
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.integrations.aws.orchestrators import AWSBatchOrchestrator
from zenml.integrations.aws.orchestrators.aws_batch_jobs import AWSBatchJobs
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.model.deployment import ResourceSpec
from zenml.pipelines import pipeline
from zenml.stack import StackComponent
from zenml.steps import Resources, step
from zenml.testing.conformance import programs
from zenml.testing.isolation import isolated_stack

SECONDS = 60


@pytest.fixture
def engine(batch: AWSBatchOrchestrator) -> Iterator[JobEngine]:
    with closing(batch.jobs()) as engine:
        yield engine


def job(code: str, **changes) -> Job:
    what = {"name": f"z-{uuid4().hex}", "command": ("python", "-c", code), "image": BASE_IMAGE}
    return Job(**{**what, "pipeline": "p", "run": "a run (1)", "step": "train[3]", **changes})


def ended(engine: JobEngine, id_: str) -> JobStatus:
    deadline = time.monotonic() + SECONDS
    while not (status := engine.states([id_])[id_]).state.is_finished:
        assert time.monotonic() < deadline, status
        time.sleep(0.1)
    return status


# Jobs


def test_a_job_says_what_it_belongs_to_and_what_it_needs(batch_url: str, engine: JobEngine) -> None:
    need = ResourceSpec(cpu=1.5, memory=1_000_000_000, gpu=1)
    id_ = engine.submit(job("print('one'); print('two')", resources=need, timeout=10))
    batch = client(batch_url, "batch")
    (found,) = batch.describe_jobs(jobs=[id_])["jobs"]
    assert found["timeout"] == {"attemptDurationSeconds": 70}
    assert found["tags"] == {"zenml.pipeline": "p", "zenml.run": "a run _1_", "zenml.step": "train_3_"}
    assert ended(engine, id_).state is JobState.SUCCEEDED
    assert engine.log(id_) == ["one", "two"]
    assert engine.log(id_, lines=1) == ["two"]


def test_a_definition_is_used_again(batch_url: str, batch: AWSBatchOrchestrator) -> None:
    def definitions() -> list[str]:
        found = client(batch_url, "batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        return [one["jobDefinitionArn"] for one in found]

    for _ in range(2):
        with closing(batch.jobs()) as engine:
            engine.submit(job("pass"))
    before = definitions()
    with closing(batch.updated({"job_role_arn": "arn:aws:iam::123456789012:role/steps"}).jobs()) as engine:
        id_ = engine.submit(job("pass"))
        assert ended(engine, id_).state is JobState.SUCCEEDED
    assert len(definitions()) == len(before) + 1


def test_a_job_that_fails_or_is_unknown(engine: JobEngine) -> None:
    assert ended(engine, engine.submit(job("raise SystemExit(3)"))).state is JobState.FAILED
    assert engine.states(["nobody"])["nobody"] == JobStatus(
        JobState.LOST, "AWS Batch does not know it any more"
    )
    assert engine.log("nobody") == []


def test_a_job_is_cancelled(engine: JobEngine) -> None:
    started = time.monotonic()
    one = job("import time; time.sleep(60)")
    id_ = engine.submit(one)
    engine.cancel(id_)
    assert ended(engine, id_) == JobStatus(JobState.FAILED, "It was cancelled by the run that it belongs to.")
    assert time.monotonic() - started < SECONDS


def test_an_image_that_is_nowhere_fails_the_job(engine: JobEngine) -> None:
    id_ = engine.submit(job("pass", image=f"127.0.0.1:{free_port()}/no/where:1"))
    assert ended(engine, id_).state is JobState.FAILED


def test_jobs_are_asked_for_by_hundreds() -> None:
    asked: list[int] = []

    class Counting:
        """Stands for the client of the service."""

        @staticmethod
        def describe_jobs(jobs: list[str]) -> dict[str, object]:
            asked.append(len(jobs))
            return {"jobs": [{"jobId": id_, "status": "RUNNABLE"} for id_ in jobs]}

    engine = AWSBatchJobs(
        Counting(), None, queue="steps", container={}, cpus=1, memory=1 << 30, poll_seconds=1
    )
    assert set(engine.states([str(n) for n in range(250)]).values()) == {JobStatus(JobState.WAITING)}
    assert asked == [100, 100, 50]


# What is refused


def test_variables_of_this_environment_cannot_be_handed_on(
    batch: AWSBatchOrchestrator, remote: dict[str, StackComponent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUCKET_SECRET", "correct-horse")
    remote["artifact_store"] = remote["artifact_store"].updated({"token": "{{env.BUCKET_SECRET}}"})
    with isolated_stack(orchestrator=batch, **remote) as stack:
        with pytest.raises(
            StackValidationError, match=r"artifact store 'bucket': \{\{env.BUCKET_SECRET}}"
        ) as refused:
            programs.chain(length=1).run()
        assert stack.metadata_store.count_runs() == 0
    assert "correct-horse" not in str(refused.value)


def test_a_queue_that_does_not_exist(batch: AWSBatchOrchestrator, remote: dict[str, StackComponent]) -> None:
    missing = batch.updated({"job_queue": "nowhere"})
    with isolated_stack(orchestrator=missing, **remote) as stack:
        with pytest.raises(
            StackValidationError, match="There is no job queue 'nowhere' for the orchestrator"
        ):
            programs.chain(length=2).run()
        assert stack.metadata_store.count_runs() == 0
    failed = [check for check in missing.check() if check.outcome is not CheckOutcome.OK]
    assert [check.what for check in failed] == ["queue"]
    with closing(missing.jobs()) as engine, pytest.raises(RunError, match="queue 'nowhere': it is refused"):
        engine.submit(job("pass"))


def test_a_queue_that_is_closed_or_of_fargate(batch_url: str, batch: AWSBatchOrchestrator) -> None:
    for name, kind in (("closed", "EC2"), ("serverless", "FARGATE")):
        make_queue(batch_url, name, kind)
    client(batch_url, "batch").update_job_queue(jobQueue="closed", state="DISABLED")
    told = {
        name: next(c.message for c in batch.updated({"job_queue": name}).check() if c.what == "queue")
        for name in ("closed", "serverless")
    }
    assert "'closed' takes no jobs: it is DISABLED" in told["closed"]
    assert "starts jobs on FARGATE, which the orchestrator 'batch' does not support" in told["serverless"]


@step(resources=Resources(cpu=17, custom={"license": 1}))
def immodest() -> int:
    return 1


@pipeline
def beyond() -> None:
    immodest()


def test_what_no_machine_of_the_queue_has(
    batch: AWSBatchOrchestrator, remote: dict[str, StackComponent]
) -> None:
    with isolated_stack(orchestrator=batch, **remote), pytest.raises(StackValidationError) as refused:
        beyond().run()
    assert str(refused.value) == (
        "The queue 'steps' of the orchestrator 'batch' has less than these steps need:\n"
        "  the step 'immodest' needs cpu: 17, of 16\n"
        "  the step 'immodest' needs license: 1, of 0\n"
        "Let them ask for less, or raise maxvCpus of the queue's compute environments; Batch knows no tokens."
    )


def test_stores_of_this_machine_are_refused(batch: AWSBatchOrchestrator, tmp_path: Path) -> None:
    with (
        isolated_stack(tmp_path / "world", secrets={"s": {"k": "v"}}, orchestrator=batch) as stack,
        pytest.raises(StackValidationError) as refused,
    ):
        stack.validate()
    for kind in ("artifact store", "metadata store", "secrets manager"):
        assert f"The {kind} '" in str(refused.value)


def test_amazons_machines_need_a_registry(
    batch: AWSBatchOrchestrator, remote: dict[str, StackComponent]
) -> None:
    amazon = batch.updated({"endpoint_url": None})
    with (
        isolated_stack(orchestrator=amazon, **remote),
        pytest.raises(StackValidationError, match="get images from a container registry"),
    ):
        programs.chain(length=1).run()


# The service


def test_nothing_answers(batch: AWSBatchOrchestrator) -> None:
    gone = batch.updated({"endpoint_url": f"http://127.0.0.1:{free_port()}"})
    with closing(gone.jobs()) as engine:
        for ask in (
            lambda: engine.states(["1"]),
            lambda: engine.cancel("1"),
            lambda: engine.log("1"),
            lambda: engine.submit(job("pass")),
        ):
            with pytest.raises(EngineUnreachableError, match="nothing answers there"):
                ask()
    with pytest.raises(
        StackValidationError, match="The orchestrator 'batch' cannot be used: .* nothing answers"
    ):
        gone._queue()


def test_there_are_no_credentials_and_no_profile(
    batch: AWSBatchOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    checks = {check.what: check for check in batch.check()}
    assert "the credentials are missing or not accepted. They are looked for" in checks["credentials"].message
    with pytest.raises(StackValidationError, match="there is no such profile in ~/.aws"):
        batch.updated({"profile_name": "nobody"}).jobs()
    with pytest.raises(StackValidationError, match="there is no region"):
        batch.updated({"region_name": None}).jobs()


def test_a_key_needs_its_other_half() -> None:
    with pytest.raises(ConfigurationError, match="belong together: only one is given"):
        AWSBatchOrchestrator(name="batch", job_queue="steps", aws_access_key_id="id")
