"""Components of Docker on a real engine."""

from collections.abc import Iterator

import pytest

from tests.docker_engine import DockerEngine
from zenml.integrations.docker.orchestrators import DockerOrchestrator


@pytest.fixture
def orchestrator(docker_host: DockerEngine) -> Iterator[DockerOrchestrator]:
    """One that leaves no container behind."""
    yield DockerOrchestrator(
        name="docker", custom_docker_base_image_name=docker_host.base_image, max_parallel_steps=3
    )
    with docker_host.client() as client:
        assert client.api.containers(all=True, filters={"label": "zenml.run"}) == []
