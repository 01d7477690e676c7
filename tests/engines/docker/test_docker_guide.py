"""The commands of docs/guide/docker.md work."""

from tests.docker_engine import DockerEngine
from tests.guides import run_guide


def test_the_guide(docker_host: DockerEngine) -> None:
    printed = run_guide("docker", {"python:3.11-slim": docker_host.base_image})
    assert any(text.endswith("14\n") for text in printed)
    assert any("loss 0.5" in text for text in printed)
