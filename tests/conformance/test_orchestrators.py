"""Our orchestrators pass the suite."""

import pytest

from zenml.orchestrators import BaseOrchestrator, LocalOrchestrator
from zenml.testing.conformance import OrchestratorConformance


class TestLocal(OrchestratorConformance):
    cannot = {"parallel": "it executes one step at a time"}

    @pytest.fixture
    def orchestrator(self) -> BaseOrchestrator:
        return LocalOrchestrator(name="local")


class TestLocalWithWorkers(OrchestratorConformance):
    @pytest.fixture
    def orchestrator(self) -> BaseOrchestrator:
        return LocalOrchestrator(name="workers", max_workers=2)
