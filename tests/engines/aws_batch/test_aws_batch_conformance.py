"""The orchestrator of AWS Batch passes the suite, with jobs that are real containers."""

import pytest

from zenml.integrations.aws.orchestrators import AWSBatchOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.stack import StackComponent
from zenml.testing.conformance import OrchestratorConformance


class TestAWSBatch(OrchestratorConformance):
    width = 4

    @pytest.fixture
    def orchestrator(self, batch: AWSBatchOrchestrator) -> BaseOrchestrator:
        return batch

    @pytest.fixture
    def components(self, remote: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return remote
