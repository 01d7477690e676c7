"""A fake endpoint of Kubeflow Pipelines whose tasks are containers of a real engine, and the components that they reach."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.aws_batch import BASE_IMAGE, CREDENTIALS, aws_batch
from tests.docker_engine import DockerEngine
from tests.engines.clouds.remote_stack import remote_components
from tests.fakes.kubeflow_pipelines import FakeKubeflowPipelines, fake_kubeflow
from tests.object_stores import S3Server
from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator
from zenml.stack import StackComponent


@pytest.fixture(scope="session")
def amazon(tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine) -> Iterator[str]:
    """Where secrets are that containers reach."""
    with aws_batch(tmp_path_factory.mktemp("moto"), docker_engine) as url:
        yield url


@pytest.fixture(scope="session")
def served_kubeflow(
    tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine
) -> Iterator[tuple[FakeKubeflowPipelines, Path]]:
    with fake_kubeflow(docker_engine, tmp_path_factory.mktemp("kubeflow")) as served:
        yield served


@pytest.fixture
def kubeflow(
    served_kubeflow: tuple[FakeKubeflowPipelines, Path], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeKubeflowPipelines]:
    fake, authority = served_kubeflow
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    fake.runs.clear()
    yield fake
    fake.is_gone = fake.shows_login = False


@pytest.fixture
def there(
    kubeflow: FakeKubeflowPipelines, docker_host: DockerEngine, amazon: str, monkeypatch: pytest.MonkeyPatch
) -> KubeflowOrchestrator:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return KubeflowOrchestrator(
        name="kubeflow",
        endpoint=kubeflow.url,
        namespace=kubeflow.namespace,
        token=kubeflow.token,
        custom_docker_base_image_name=BASE_IMAGE,
    )


@pytest.fixture
def remote(
    there: KubeflowOrchestrator, amazon: str, seaweedfs: S3Server, postgresql_database: str
) -> dict[str, StackComponent]:
    """Stores that containers reach by the network, and what opens them. Images are those of the engine that runs them."""
    components = remote_components(amazon, seaweedfs, postgresql_database)
    del components["container_registry"]
    return components
