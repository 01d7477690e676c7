"""Orchestrator and step operator of Ray pass the suites, on a cluster of two nodes."""

from collections.abc import Iterator

import pytest

from tests.ray_cluster import RayCluster, ray_cluster
from zenml.integrations.ray.driver import close_kept
from zenml.integrations.ray.orchestrators import RayOrchestrator
from zenml.integrations.ray.step_operators import RayStepOperator
from zenml.orchestrators import BaseOrchestrator
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import OrchestratorConformance, StepOperatorConformance

# The start of a cluster counts, which may take a minute on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as cluster:
        yield cluster
    close_kept()


class TestRay(OrchestratorConformance):
    @pytest.fixture
    def orchestrator(self, cluster: RayCluster) -> BaseOrchestrator:
        return RayOrchestrator(name="ray", address=cluster.address)


class TestRayStepOperator(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, cluster: RayCluster) -> BaseStepOperator:
        return RayStepOperator(name="ray", address=cluster.address)
