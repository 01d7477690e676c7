"""Pipelines on KFP's local runner."""

import pytest

from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.testing.conformance import OrchestratorConformance


class TestKubeflowHere(OrchestratorConformance):
    cannot = {
        "map": "a package of KFP has as many tasks as were compiled into it",
        "parallel": "KFP's local runner executes one task after another",
    }
    seconds = 120.0
    width = 4

    @pytest.fixture
    def orchestrator(self) -> BaseOrchestrator:
        return KubeflowOrchestrator(name="kubeflow")
