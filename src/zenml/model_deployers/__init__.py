"""Model deployers: where models answer requests."""

from zenml.model_deployers.base_model_deployer import BaseModelDeployer
from zenml.model_deployers.local_model_deployer import LocalModelDeployer
from zenml.model_deployers.local_model_server import LocalModelServer, LocalModelServerConfig

__all__ = ["BaseModelDeployer", "LocalModelDeployer", "LocalModelServer", "LocalModelServerConfig"]
