"""The step operator that executes steps on Vertex AI."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar

import google.auth
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError
from google.oauth2 import service_account
from pydantic import Field, field_validator, model_validator

from zenml.exceptions import StackValidationError
from zenml.integrations.gcp.rest import LOGIN, SCOPE, authorized, token_request
from zenml.integrations.gcp.step_operators.vertex_jobs import VertexJobs
from zenml.step_operators.machine_step_operator import MachineStepOperator

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from typing_extensions import Self

    from zenml.step_operators.machine_step_operator import MachineJobs

_REGION = re.compile(r"[a-z]+-[a-z]+\d+")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")


class VertexStepOperator(MachineStepOperator):
    """Executes steps as custom jobs of Vertex AI, each on a machine of its own.

    Jobs are started with the application default credentials, or those of the key in the file `service_account_path`; the steps
    themselves have the rights of `workload_service_account`, else of Vertex AI's own agent. `project` is by default that of the
    credentials. `network` is one that steps reach private addresses by: projects/NUMBER/global/networks/NAME. A step that asks for devices
    gets as many of the `accelerator_count` of a machine of the family n1, others get all. `endpoint`, `logging_endpoint` and
    `compute_endpoint` are other addresses of the services, as for Private Service Connect.
    """

    FLAVOR: ClassVar[str] = "vertex"

    remedy: ClassVar[str] = (
        "set its `machine_type` to one that has it, or `accelerator_type` and `accelerator_count`"
    )

    region: str
    project: str | None = None
    accelerator_type: str | None = None
    accelerator_count: int = Field(0, ge=0)
    machine_type: str = "n1-standard-4"
    base_image: str | None = None
    encryption_spec_key_name: str | None = None
    service_account_path: str | None = None
    workload_service_account: str | None = None
    network: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    endpoint: str | None = None
    logging_endpoint: str = "https://logging.googleapis.com"
    compute_endpoint: str = "https://compute.googleapis.com"

    @field_validator("region")
    @classmethod
    def _check_region(cls, value: str) -> str:
        if not _REGION.fullmatch(value):
            raise ValueError(f"{value!r} is no region: expected one as europe-west3")
        return value

    @field_validator("labels")
    @classmethod
    def _check_labels(cls, value: dict[str, str]) -> dict[str, str]:
        for key, label in value.items():
            if not (_LABEL.fullmatch(key) and _LABEL_VALUE.fullmatch(label)):
                raise ValueError(
                    f"{key!r}: {label!r} is no label: expected up to 63 lower-case letters, digits, hyphens and underscores, and for the "
                    "key a letter first"
                )
        return value

    @model_validator(mode="after")
    def _check_accelerators(self) -> Self:
        if bool(self.__dict__["accelerator_type"]) != bool(self.__dict__["accelerator_count"]):
            raise ValueError("accelerator_type and accelerator_count belong together: only one is given")
        return self

    @property
    def image_base(self) -> str | None:
        """The field `base_image`."""
        return self.base_image

    def jobs(self) -> MachineJobs:
        """Custom jobs."""
        request = token_request()
        credentials, project = self._credentials(request)
        if not (self.project or project):
            raise StackValidationError(
                f"The step operator '{self.name}' has no project, and its credentials name none: set the field `project`."
            )
        return VertexJobs(
            authorized(credentials, request, self.timeout),
            project=str(self.project or project),
            region=self.region,
            machine_type=self.machine_type,
            accelerator_type=self.accelerator_type,
            accelerator_count=self.accelerator_count,
            encryption_key=self.encryption_spec_key_name,
            service_account=self.workload_service_account,
            network=self.network,
            labels=self.labels,
            max_jobs=self.max_jobs,
            endpoint=self.endpoint,
            logging_endpoint=self.logging_endpoint,
            compute_endpoint=self.compute_endpoint,
            timeout=self.timeout,
        )

    def _credentials(self, request: Any) -> tuple[Credentials, str | None]:
        path = self.service_account_path
        if path is None:
            try:
                return google.auth.default(scopes=[SCOPE], request=request)
            except DefaultCredentialsError:
                raise StackValidationError(
                    f"The step operator '{self.name}' has no credentials. {LOGIN}"
                ) from None
        try:
            found = service_account.Credentials.from_service_account_file(path, scopes=[SCOPE])  # type: ignore[no-untyped-call]
        except OSError as error:
            raise StackValidationError(
                f"The service_account_path {path!r} of the step operator '{self.name}' cannot be read: {error.strerror}."
            ) from None
        except (ValueError, GoogleAuthError):
            # The library's text may hold parts of the key.
            raise StackValidationError(
                f"The file {path!r} of the step operator '{self.name}' is no key of a service account: expected the JSON file that the "
                "cloud's console gives."
            ) from None
        return found, found.project_id
