"""Steps on Amazon SageMaker: against a fake that runs jobs as processes, moto, and botocore's description of the service."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

from tests.engines.clouds import work
from tests.engines.clouds.duties import CloudOperator, JobEngineDuties, job_of, refusal_of, refused_run
from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE
from tests.fakes import https
from tests.fakes.sagemaker import FakeSageMaker
from tests.services import free_port
from zenml.enums import CheckOutcome, ExecutionStatus
from zenml.exceptions import ConfigurationError, RunCancelledError, RunError, StackValidationError
from zenml.integrations.aws.step_operators import SagemakerStepOperator
from zenml.integrations.aws.step_operators.sagemaker_jobs import SagemakerJobs, arguments
from zenml.jobs import EngineUnreachableError, JobEngine, JobState, JobStatus
from zenml.stack import StackComponent
from zenml.stack.capacity import Capacity
from zenml.testing import isolated_stack
from zenml.testing.conformance import StepOperatorConformance, programs
from zenml.testing.running import last_run

ROLE = "arn:aws:iam::123456789012:role/steps"


@pytest.fixture
def fake(
    tmp_path: Path, moto_url: str, remote: dict[str, StackComponent], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeSageMaker]:
    fake = FakeSageMaker(tmp_path / "jobs")
    fake.environment = CREDENTIALS
    monkeypatch.setattr(SagemakerJobs, "poll_seconds", 0.1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    (tmp_path / "tls").mkdir()
    with https.served(fake, tmp_path / "tls") as authority:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", fake.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", fake.url)
        yield fake
        fake.end()


@pytest.fixture
def operator(fake: FakeSageMaker) -> SagemakerStepOperator:
    return SagemakerStepOperator(
        name="sagemaker", role=ROLE, instance_type="ml.m5.large", base_image=IMAGE, region_name="eu-west-1"
    )


class TestSagemaker(CloudOperator, StepOperatorConformance):
    """Against the fake."""

    machine = ("2", "8.59 GB")
    remedy = "set its `instance_type` to one that has it"


class TestJobs(JobEngineDuties):
    def test_what_it_does_not_know_is_lost(self, engine: JobEngine) -> None:
        assert engine.states(["z-none"])["z-none"].state is JobState.LOST
        assert engine.log("z-none") == []

    def test_a_job_whose_creation_was_answered_to_nobody_is_ours(
        self, engine: JobEngine, fake: FakeSageMaker
    ) -> None:
        fake.refusal = ("ResourceInUse", "Job name must be unique")
        assert engine.submit(job_of("0", name="z-again")) == "z-again"

    def test_all_fields_are_what_the_service_knows(
        self, operator: SagemakerStepOperator, fake: FakeSageMaker
    ) -> None:
        full = operator.updated(
            {
                "bucket": "outputs",
                "experiment_name": "digits",
                "subnets": ["subnet-1"],
                "security_group_ids": ["sg-1"],
                "volume_size_gb": 100,
                "max_jobs": 3,
            }
        )
        engine = full.jobs()
        assert engine.max_jobs == 3
        body, _ = fake.jobs[engine.submit(job_of("0", name="z-full", timeout=60))]
        (output,) = body["ProcessingOutputConfig"]["Outputs"]
        assert output["S3Output"]["S3Uri"] == "s3://outputs/z-full"
        assert body["ExperimentConfig"] == {"ExperimentName": "digits"}
        assert body["StoppingCondition"] == {"MaxRuntimeInSeconds": 360}
        assert body["NetworkConfig"] == {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}}
        engine.close()


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (("ExpiredTokenException", "The security token is expired"), "have expired. Renew them"),
        (("UnrecognizedClientException", "The security token is invalid"), "credentials are missing or not"),
        (("AccessDeniedException", "not authorized to perform: iam:PassRole"), "iam:PassRole for the role"),
        (
            ("ResourceLimitExceeded", "The account-level service limit 'ml.p3.2xlarge' is 0 Instances"),
            "on ml.m5.large: the account's quota does not allow it. Set `max_jobs`",
        ),
        (
            ("ValidationException", "Could not assume role arn:aws:iam::123456789012:role/steps"),
            "a role must trust sagemaker.amazonaws.com",
        ),
        (("ResourceNotFound", "Experiment digits"), "aws sagemaker create-experiment"),
    ],
)
def test_what_is_refused_says_what_to_do(
    operator: SagemakerStepOperator, fake: FakeSageMaker, refusal: tuple[str, str], told: str
) -> None:
    fake.refusal = refusal
    said = refusal_of(operator)
    assert told in said
    assert refusal[1] in said
    assert fake.jobs == {}


def test_nothing_answers(operator: SagemakerStepOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", f"http://127.0.0.1:{free_port()}")
    engine = operator.jobs()
    with pytest.raises(EngineUnreachableError, match="nothing answers there. Are the region and the network"):
        engine.states(["z-1"])
    with pytest.raises(EngineUnreachableError, match="nothing answers there"):
        engine.submit(job_of("0"))
    engine.close()


def test_there_are_no_credentials_and_no_region(
    operator: SagemakerStepOperator, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in CREDENTIALS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(StackValidationError, match="there is no region. Set the field `region_name`"):
        operator.updated({"region_name": None}).jobs()
    checks = {check.what: check for check in operator.check()}
    assert "the credentials are missing or not accepted. They are looked for" in checks["credentials"].message


def test_what_an_instance_has_that_nobody_knows(
    operator: SagemakerStepOperator,
    remote: dict[str, StackComponent],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = operator.updated({"instance_type": "ml.m0.large"})
    told = refused_run(other, remote, tmp_path, work.working())
    assert (
        "see what an instance of the type ml.m0.large has: Amazon EC2, which knows what instances have, has no such type."
        in told
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL_EC2", f"http://127.0.0.1:{free_port()}")
    told = refused_run(operator, remote, tmp_path / "silence", work.working())
    assert (
        "Steps say what they need (work), but what a machine of the step operator 'operator' has cannot be"
        in told
    )
    assert "nothing answers there" in told


def test_devices_of_an_instance(operator: SagemakerStepOperator) -> None:
    with closing(operator.updated({"instance_type": "ml.g4dn.12xlarge"}).jobs()) as engine:
        assert engine.machine() == Capacity(48, 192 << 30, ("0", "1", "2", "3"))


def test_a_check_names_the_account(operator: SagemakerStepOperator) -> None:
    checks = {check.what: check for check in operator.check()}
    assert checks["credentials"].message.startswith("arn:aws:")
    assert {check.outcome for check in checks.values()} == {CheckOutcome.OK}


def test_a_stack_without_a_registry_or_with_local_stores_is_refused(
    operator: SagemakerStepOperator, remote: dict[str, StackComponent], tmp_path: Path
) -> None:
    named = operator.updated({"name": "operator"})
    with (
        isolated_stack(
            tmp_path / "local", step_operator=named, container_registry=remote["container_registry"]
        ),
        pytest.raises(
            StackValidationError, match="cannot reach the metadata store .* and the artifact store"
        ),
    ):
        programs.over_there(value=1).run()
    del remote["container_registry"]
    with (
        isolated_stack(tmp_path / "no-registry", step_operator=named, **remote),
        pytest.raises(StackValidationError, match="has none: container registry"),
    ):
        programs.over_there(value=1).run()


def test_a_run_that_is_cancelled_stops_its_job(
    operator: SagemakerStepOperator, fake: FakeSageMaker, remote: dict[str, StackComponent], tmp_path: Path
) -> None:
    with isolated_stack(
        tmp_path / "world", step_operator=operator.updated({"name": "operator"}), **remote
    ) as stack:
        store = stack.metadata_store

        def cancel() -> None:
            deadline = time.monotonic() + 60
            while time.monotonic() < deadline:
                if any(step.started for run in store.runs() for step in store.steps(run.id)):
                    store.request_cancel(store.runs()[0].id)
                    return
                time.sleep(0.1)

        canceller = threading.Thread(target=cancel)
        canceller.start()
        with pytest.raises(RunCancelledError):
            work.waiting().run()
        canceller.join()
        assert last_run().status is ExecutionStatus.CANCELLED
    ((_, process),) = fake.jobs.values()
    assert process.exit_code is not None


def test_a_long_configuration_is_cut_into_words_and_read_again(
    operator: SagemakerStepOperator, fake: FakeSageMaker, remote: dict[str, StackComponent], tmp_path: Path
) -> None:
    kwargs = {f"option_{n}": token_hex(20) for n in range(60)}
    remote["artifact_store"] = remote["artifact_store"].updated(
        {"s3_additional_kwargs": {"Metadata": kwargs}}
    )
    with isolated_stack(tmp_path / "world", step_operator=operator.updated({"name": "operator"}), **remote):
        work.working().run()
    ((body, _),) = fake.jobs.values()
    words = body["AppSpecification"]["ContainerArguments"]
    assert len(words) > 10


def test_words_are_cut_where_no_part_looks_like_an_option() -> None:
    word = "a" * 255 + "--" + "b" * 300
    parts = arguments(["--stack", word])[1:]
    assert "".join(parts) == word
    assert not any(part.startswith("-") or len(part) > 256 for part in parts)
    with pytest.raises(RunError, match="this one has 300: 'xxx.*shorter path for the artifact store"):
        arguments(["--task", "x" * 300])
    with pytest.raises(RunError, match="commands of 100 words of 256 characters at the most"):
        arguments(["--stack", "x" * 26_000])


def test_moto_takes_the_requests(moto_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the service does, it says how a job is; it executes nothing."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_url)
    engine = SagemakerStepOperator(name="s", role=ROLE, instance_type="ml.m5.large", bucket="b").jobs()
    id = engine.submit(job_of("0"))
    assert engine.states([id, "z-none"]) == {
        id: JobStatus(JobState.SUCCEEDED),
        "z-none": JobStatus(JobState.LOST, "SageMaker does not know it"),
    }
    engine.close()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"role": "my-role"}, "'my-role' is no role: expected its ARN"),
        ({"instance_type": "m5.large"}, "expected one as ml.m5.xlarge"),
        ({"subnets": ["subnet-1"]}, "subnets and security_group_ids belong together"),
        ({"aws_access_key_id": "id"}, "aws_access_key_id and aws_secret_access_key belong together"),
        ({"max_jobs": 0}, "max_jobs"),
    ],
)
def test_fields_that_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        SagemakerStepOperator(**{"name": "s", "role": ROLE, "instance_type": "ml.m5.large", **fields})
    assert told in str(refused.value)
