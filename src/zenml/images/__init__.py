"""Images of containers that steps run in: what they hold, and when they are built."""

from zenml.images.docker_settings import DockerSettings

__all__ = ["DockerSettings"]
