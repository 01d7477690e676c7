"""An engine that takes whole graphs passes the suite of orchestrators."""

import pytest

from tests.graph_engine import GraphOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.testing.conformance import OrchestratorConformance


class TestGraph(OrchestratorConformance):
    cannot = {"map": "a graph has as many nodes as were submitted", "resources": "it does not count them"}
    width = 4

    @pytest.fixture
    def orchestrator(self) -> BaseOrchestrator:
        return GraphOrchestrator(name="graph")
