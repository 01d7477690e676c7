"""Container registries: where images are kept."""

from zenml.container_registries.aws_container_registry import AWSContainerRegistry
from zenml.container_registries.azure_container_registry import AzureContainerRegistry
from zenml.container_registries.base_container_registry import BaseContainerRegistry
from zenml.container_registries.default_container_registry import DefaultContainerRegistry
from zenml.container_registries.dockerhub_container_registry import DockerHubContainerRegistry
from zenml.container_registries.gcp_container_registry import GCPContainerRegistry
from zenml.container_registries.github_container_registry import GitHubContainerRegistry
from zenml.container_registries.gitlab_container_registry import GitLabContainerRegistry
from zenml.container_registries.local_container_registry import LocalContainerRegistry

__all__ = [
    "AWSContainerRegistry",
    "AzureContainerRegistry",
    "BaseContainerRegistry",
    "DefaultContainerRegistry",
    "DockerHubContainerRegistry",
    "GCPContainerRegistry",
    "GitHubContainerRegistry",
    "GitLabContainerRegistry",
    "LocalContainerRegistry",
]
