"""Steps on Vertex AI: against a fake that runs jobs as processes, and Google's description of the service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE
from tests.fakes import https
from tests.fakes.vertex import REGION, FakeVertex
from zenml.integrations.gcp.step_operators import VertexStepOperator
from zenml.integrations.gcp.step_operators.vertex_jobs import VertexJobs
from zenml.stack import StackComponent
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import StepOperatorConformance


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVertex]:
    fake = FakeVertex(tmp_path / "jobs")
    fake.environment = CREDENTIALS
    monkeypatch.setattr(VertexJobs, "poll_seconds", 0.1)
    (tmp_path / "tls").mkdir()
    with https.served(fake, tmp_path / "tls") as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        (tmp_path / "key.json").write_text(fake.account)
        yield fake
        fake.end()


@pytest.fixture
def operator(fake: FakeVertex, tmp_path: Path) -> VertexStepOperator:
    return VertexStepOperator(
        name="vertex",
        region=REGION,
        base_image=IMAGE,
        service_account_path=str(tmp_path / "key.json"),
        endpoint=fake.url,
        logging_endpoint=fake.url,
    )


class TestVertex(StepOperatorConformance):
    """Against the fake."""

    @pytest.fixture
    def step_operator(self, operator: VertexStepOperator) -> BaseStepOperator:
        return operator

    @pytest.fixture
    def components(self, remote: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return remote
