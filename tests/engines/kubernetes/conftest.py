"""A fake cluster whose pods are containers of a real Docker engine, and stores that they reach."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

import pytest
from sqlalchemy.engine import make_url

from tests.docker_engine import DockerEngine
from tests.fakes.kubernetes_cluster import FakeKubernetes, fake_kubernetes
from tests.object_stores import BUCKET, S3Server
from zenml.integrations.kubernetes.jobs import KubernetesJobs
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.metadata_stores import PostgreSQLMetadataStore
from zenml.stack import StackComponent


@pytest.fixture(scope="module")
def module_cluster(
    docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FakeKubernetes]:
    with fake_kubernetes(docker_engine, tmp_path_factory.mktemp("kubernetes")) as fake:
        yield fake


@pytest.fixture
def cluster(
    module_cluster: FakeKubernetes, docker_host: DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeKubernetes]:
    """The cluster as the one that clients find; each test leaves nothing behind there."""
    monkeypatch.setenv("KUBECONFIG", str(module_cluster.folder / "kubeconfig"))
    monkeypatch.setattr(KubernetesJobs, "poll_seconds", 0.1)
    module_cluster.made.clear()
    module_cluster.pulled.clear()
    yield module_cluster
    assert module_cluster.jobs == {}
    assert module_cluster.secrets == {}


@pytest.fixture
def stores(seaweedfs: S3Server, postgresql_database: str) -> dict[str, StackComponent]:
    """Stores that pods reach."""
    url = make_url(postgresql_database)
    return {
        "artifact_store": S3ArtifactStore(
            name="objects",
            path=f"s3://{BUCKET}/{uuid4()}",
            key="admin",
            secret=seaweedfs.password,
            endpoint_url=seaweedfs.endpoint,
        ),
        "metadata_store": PostgreSQLMetadataStore(
            name="records",
            host=url.host,
            port=url.port,
            database=url.database,
            username=url.username,
            password=url.password,
        ),
    }
