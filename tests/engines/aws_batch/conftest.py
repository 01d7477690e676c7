"""An orchestrator of AWS Batch, and the components that its jobs reach."""

from collections.abc import Iterator

import pytest

from tests.aws_batch import BASE_IMAGE, CREDENTIALS, QUEUE, REGION, aws_batch
from tests.docker_engine import DockerEngine
from tests.engines.clouds.remote_stack import remote_components
from tests.object_stores import S3Server
from zenml.integrations.aws.orchestrators import AWSBatchOrchestrator
from zenml.stack import StackComponent


@pytest.fixture(scope="session")
def batch_url(tmp_path_factory: pytest.TempPathFactory, docker_engine: DockerEngine) -> Iterator[str]:
    with aws_batch(tmp_path_factory.mktemp("moto"), docker_engine) as url:
        yield url


@pytest.fixture
def batch(batch_url: str, docker_host: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> AWSBatchOrchestrator:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    return AWSBatchOrchestrator(
        name="batch",
        job_queue=QUEUE,
        region_name=REGION,
        endpoint_url=batch_url,
        custom_docker_base_image_name=BASE_IMAGE,
        poll_seconds=0.2,
    )


@pytest.fixture
def remote(
    batch: AWSBatchOrchestrator, batch_url: str, seaweedfs: S3Server, postgresql_database: str
) -> dict[str, StackComponent]:
    """Stores that jobs reach by the network, and what opens them. Images are those of the engine that runs the jobs."""
    components = remote_components(batch_url, seaweedfs, postgresql_database)
    del components["container_registry"]
    return components
