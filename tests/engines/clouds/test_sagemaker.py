"""Steps on Amazon SageMaker: against a fake that runs jobs as processes, moto, and botocore's description of the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE
from tests.fakes import https
from tests.fakes.sagemaker import FakeSageMaker
from zenml.integrations.aws.step_operators import SagemakerStepOperator
from zenml.integrations.aws.step_operators.sagemaker_jobs import SagemakerJobs
from zenml.stack import StackComponent
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import StepOperatorConformance

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


class TestSagemaker(StepOperatorConformance):
    """Against the fake."""

    @pytest.fixture
    def step_operator(self, operator: SagemakerStepOperator) -> BaseStepOperator:
        return operator

    @pytest.fixture
    def components(self, remote: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return remote
