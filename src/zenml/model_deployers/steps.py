"""A ready step: it serves the model that another step gave."""

from __future__ import annotations

from pydantic import Field

from zenml.artifacts import ModelArtifact  # noqa: TC001 - steps' annotations are evaluated at run time
from zenml.exceptions import StackValidationError
from zenml.model_deployers.local_model_deployer import LocalModelDeployer
from zenml.model_deployers.local_model_server import LocalModelServer, LocalModelServerConfig
from zenml.steps import BaseStepConfig, StepContext, step


class LocalModelDeployerConfig(BaseStepConfig):
    """How the model is served. A server for other machines needs a token, which is no parameter of a step: deploy it from Python."""

    model_name: str = "model"
    port: int | None = Field(default=None, ge=1, le=65535)
    max_request_bytes: int = Field(default=10 * 2**20, gt=0)
    timeout: int = Field(default=300, ge=0)


@step(enable_cache=False)
def local_model_deployer_step(
    deploy_decision: bool, model: ModelArtifact, config: LocalModelDeployerConfig, context: StepContext
) -> LocalModelServer:
    """Serve `model` instead of what this step served before under that name, if `deploy_decision` is true.

    Otherwise, what is served goes on; the server that is given does not run if there never was one.
    """
    deployer = context.stack.model_deployer
    if not isinstance(deployer, LocalModelDeployer):
        raise StackValidationError(
            f"The stack '{context.stack.name}' has no model deployer of flavor 'local', which this step needs: register one with "
            f"`zenml model-deployer register NAME --flavor=local` and add it with "
            f"`zenml stack update {context.stack.name} --model_deployer NAME`."
        )
    store = context.stack.artifact_store
    server = LocalModelServerConfig(
        model_name=config.model_name,
        artifact=context.metadata_store.artifact(model.id),
        artifact_store=None if store.local_path is not None else store.to_record(),
        port=config.port,
        max_request_bytes=config.max_request_bytes,
    )
    if deploy_decision:
        return deployer.deploy_model(server, replace=True, timeout=config.timeout)
    return deployer.deployed(server) or LocalModelServer(config=server)
