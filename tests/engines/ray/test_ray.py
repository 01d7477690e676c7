"""The orchestrator of Ray passes the suite, on a cluster of two nodes."""

from collections.abc import Iterator

import pytest

from tests.ray_cluster import RayCluster, ray_cluster
from zenml.integrations.ray.driver import close_kept
from zenml.integrations.ray.orchestrators import RayOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.testing.conformance import OrchestratorConformance


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    with ray_cluster() as cluster:
        yield cluster
    close_kept()


class TestRay(OrchestratorConformance):
    @pytest.fixture
    def orchestrator(self, cluster: RayCluster) -> BaseOrchestrator:
        return RayOrchestrator(name="ray", address=cluster.address)
