"""Steps on Azure Machine Learning: against a fake that runs jobs as processes, and the models of Azure's management library."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE
from tests.fakes import https
from tests.fakes.azure_identity import IDENTITY_HEADER
from tests.fakes.azure_ml import COMPUTE, GROUP, SUBSCRIPTION, WORKSPACE, FakeAzureML
from zenml.integrations.azure.step_operators import AzureMLStepOperator
from zenml.integrations.azure.step_operators.azureml_jobs import AzureMLJobs
from zenml.stack import StackComponent
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import StepOperatorConformance


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzureML]:
    fake = FakeAzureML(tmp_path / "jobs")
    fake.environment = CREDENTIALS
    monkeypatch.setattr(AzureMLJobs, "poll_seconds", 0.1)
    (tmp_path / "tls").mkdir()
    with https.served(fake, tmp_path / "tls") as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
        yield fake
        fake.end()


@pytest.fixture
def operator(fake: FakeAzureML) -> AzureMLStepOperator:
    return AzureMLStepOperator(
        name="azureml",
        subscription_id=SUBSCRIPTION,
        resource_group=GROUP,
        workspace_name=WORKSPACE,
        compute_target_name=COMPUTE,
        docker_base_image=IMAGE,
        endpoint=fake.url,
    )


class TestAzureML(StepOperatorConformance):
    """Against the fake."""

    @pytest.fixture
    def step_operator(self, operator: AzureMLStepOperator) -> BaseStepOperator:
        return operator

    @pytest.fixture
    def components(self, remote: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return remote
