"""The orchestrator of Dask passes the suite, on a cluster of two workers."""

from collections.abc import Iterator

import pytest

from tests.dask_cluster import DaskCluster, dask_cluster
from zenml.integrations.dask.orchestrators import DaskOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.testing.conformance import OrchestratorConformance


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2) as cluster:
        yield cluster


class TestDask(OrchestratorConformance):
    @pytest.fixture
    def orchestrator(self, cluster: DaskCluster) -> BaseOrchestrator:
        return DaskOrchestrator(name="dask", address=cluster.address)
