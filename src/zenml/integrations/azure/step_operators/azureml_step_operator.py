"""The step operator that executes steps on Azure Machine Learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from azure.core import PipelineClient
from azure.core.pipeline.policies import BearerTokenCredentialPolicy, RetryPolicy
from azure.identity import ClientSecretCredential, DefaultAzureCredential
from pydantic import SecretStr, field_validator, model_validator

from zenml.integrations.azure.step_operators.azureml_jobs import AzureMLJobs
from zenml.step_operators.machine_step_operator import MachineStepOperator

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from typing_extensions import Self

    from zenml.step_operators.machine_step_operator import MachineJobs

_ATTEMPTS = 3


class AzureMLStepOperator(MachineStepOperator):
    """Executes steps as command jobs of Azure Machine Learning, on the workspace's compute `compute_target_name`.

    Images are registered in the workspace as versions of the environment `environment_name`. Jobs are started with the credentials of the
    service principal that `tenant_id`, `service_principal_id` and `service_principal_password` name, else with those of the default
    chain of Azure's tools. `endpoint` is the resource manager's address where it is not the global cloud's.
    """

    FLAVOR: ClassVar[str] = "azureml"

    remedy: ClassVar[str] = "set its `compute_target_name` to a compute of machines that have it"

    subscription_id: str
    resource_group: str
    workspace_name: str
    compute_target_name: str
    environment_name: str = "zenml"
    docker_base_image: str | None = None
    tenant_id: str | None = None
    service_principal_id: str | None = None
    service_principal_password: SecretStr | None = None
    endpoint: str = "https://management.azure.com"

    @field_validator("subscription_id", "resource_group", "workspace_name", "compute_target_name")
    @classmethod
    def _check_words(cls, value: str) -> str:
        if not value or "/" in value:
            raise ValueError(f"{value!r} is no name: expected it alone, not the path of the resource")
        return value

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str) -> str:
        if not value.startswith("https://"):
            raise ValueError(f"{value!r} is no address: expected one as https://management.chinacloudapi.cn")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_principal(self) -> Self:
        names = ("tenant_id", "service_principal_id", "service_principal_password")
        given = [name for name in names if self.__dict__[name]]
        if 0 < len(given) < len(names):
            raise ValueError(f"{', '.join(names)} belong together: given is {', '.join(given)} alone")
        return self

    @property
    def image_base(self) -> str | None:
        """The field `docker_base_image`."""
        return self.docker_base_image

    def jobs(self) -> MachineJobs:
        """Command jobs."""
        # One attempt of the libraries would take minutes where nothing answers.
        bounds: dict[str, Any] = {
            "connection_timeout": self.timeout,
            "read_timeout": self.timeout,
            "retry_total": _ATTEMPTS - 1,
            "retry_backoff_factor": 0.2,
        }
        token = BearerTokenCredentialPolicy(self._credential(bounds), f"{self.endpoint}/.default")
        workspace = (
            f"/subscriptions/{self.subscription_id}/resourceGroups/{self.resource_group}"
            f"/providers/Microsoft.MachineLearningServices/workspaces/{self.workspace_name}"
        )
        return AzureMLJobs(
            PipelineClient(self.endpoint, policies=[RetryPolicy(**bounds), token], **bounds),
            PipelineClient("", policies=[RetryPolicy(**bounds)], **bounds),
            workspace=workspace,
            compute=self.compute_target_name,
            environment=self.environment_name,
            max_jobs=self.max_jobs,
        )

    def _credential(self, bounds: dict[str, Any]) -> TokenCredential:
        password = self.service_principal_password
        if self.tenant_id and self.service_principal_id and password:
            # Whom to ask is configured: AZURE_AUTHORITY_HOST where it is not the global cloud.
            return ClientSecretCredential(
                self.tenant_id,
                self.service_principal_id,
                password.get_secret_value(),
                disable_instance_discovery=True,
                **bounds,
            )
        return DefaultAzureCredential(**bounds)
