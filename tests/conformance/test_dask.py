"""The orchestrator of Dask passes the suite, on a cluster of two workers."""

from collections.abc import Iterator

import pytest

from tests.dask_cluster import DaskCluster, dask_cluster
from zenml.integrations.dask.orchestrators import DaskOrchestrator, dask_executor
from zenml.orchestrators import BaseOrchestrator
from zenml.testing.conformance import OrchestratorConformance


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2) as cluster:
        yield cluster


class TestDask(OrchestratorConformance):
    @pytest.fixture(autouse=True)
    def _workers_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """No attempt is given up before its worker has ended it."""
        monkeypatch.setattr(dask_executor, "_PATIENCE", 600.0)

    @pytest.fixture
    def orchestrator(self, cluster: DaskCluster) -> BaseOrchestrator:
        return DaskOrchestrator(name="dask", address=cluster.address)
