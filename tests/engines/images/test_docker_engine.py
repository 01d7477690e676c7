"""The engine and the registries that other tests rely on."""

import io
import tarfile

import numpy as np
import pytest
from docker.errors import APIError

from tests.docker_engine import DockerEngine, ImageRegistry


@pytest.fixture(scope="module")
def small(docker_engine: DockerEngine) -> str:
    """The name of an image that is pushed in no time."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    with docker_engine.client() as client:
        client.api.import_image_from_data(archive.getvalue(), repository="zenml-tests/small", tag="1")
    return "zenml-tests/small:1"


def test_a_container_has_the_packages_of_this_environment(docker_engine: DockerEngine):
    command = ["python", "-c", "import numpy, sqlalchemy, s3fs, pytest; print(numpy.__version__)"]
    with docker_engine.client() as client:
        printed = client.containers.run(
            docker_engine.base_image, command, network_mode="host", auto_remove=True
        )
    assert printed.decode().strip() == np.__version__


def test_an_image_is_pushed_and_pulled(docker_engine: DockerEngine, small: str, image_registry: str):
    name = f"{image_registry}/tests/pushed:1"
    with docker_engine.client() as client:
        client.images.get(small).tag(name)
        answer = client.images.push(name)
        assert "error" not in answer, answer
        client.images.remove(name)
        assert client.images.pull(name).tags


def test_a_guarded_registry_wants_a_password(
    docker_engine: DockerEngine, small: str, guarded_image_registry: ImageRegistry
):
    name = f"{guarded_image_registry.address}/tests/pushed:1"
    login = {"username": guarded_image_registry.username, "password": guarded_image_registry.password}
    with docker_engine.client() as client:
        client.images.get(small).tag(name)
        assert "no basic auth credentials" in client.images.push(name)
        assert "error" not in client.images.push(name, auth_config=login)
        with pytest.raises(APIError, match="no basic auth"):
            client.images.pull(name)
