"""Jobs as command jobs of Azure Machine Learning.

https://learn.microsoft.com/rest/api/azureml/jobs/create-or-update; their logs and errors are in the workspace's run history.
"""

from __future__ import annotations

import hashlib
import math
import re
import shlex
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from azure.core import PipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.core.rest import HttpRequest, HttpResponse

from zenml.exceptions import RunError
from zenml.jobs import EngineUnreachableError, Job, JobState, JobStatus, unusable
from zenml.stack.capacity import Capacity
from zenml.step_operators.machine_step_operator import MachineJobs

_SERVICE = "Azure Machine Learning"
_VERSION = "2023-04-01"
_OVERTIME = 300
_WAITING = ("NotStarted", "Starting", "Provisioning", "Preparing", "Queued")
_LOGIN = "Log in with `az login`, set AZURE_TENANT_ID, AZURE_CLIENT_ID and AZURE_CLIENT_SECRET, or set the fields of a service principal."

_REASONS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: f"the credentials are not accepted, or have expired. {_LOGIN}",
    HTTPStatus.FORBIDDEN: "access is denied. Who runs pipelines needs the role 'AzureML Data Scientist' in the workspace.",
    HTTPStatus.NOT_FOUND: "there is no such workspace or compute. `az ml workspace list` and `az ml compute list` show them.",
    HTTPStatus.BAD_REQUEST: "it is refused. Mend the fields of the step operator that the answer names; a quota is raised in the portal.",
    HTTPStatus.CONFLICT: "it is refused. Mend the fields of the step operator that the answer names; a quota is raised in the portal.",
}

Client = PipelineClient[HttpRequest, HttpResponse]


class AzureMLJobs(MachineJobs):
    """Command jobs on one compute of a workspace.

    Args:
        client: asks with the user's token.
        plain: asks without it, for logs.
        workspace: the path of the resource.
        compute: the name of the compute.
        environment: the environment that images are versions of.
        max_jobs: how many jobs at once; the compute has a queue of its own.
    """

    def __init__(
        self,
        client: Client,
        plain: Client,
        *,
        workspace: str,
        compute: str,
        environment: str,
        max_jobs: int | None = None,
    ) -> None:
        self._client = client
        self._plain = plain
        self._workspace = workspace
        self._compute = f"{workspace}/computes/{compute}"
        self._environment = f"{workspace}/environments/{environment}"
        self.max_jobs = max_jobs

    def submit(self, job: Job) -> str:
        """Create a command job of the job's name."""
        if job.image is None:
            raise RunError(
                "Azure Machine Learning runs images alone, and there is none for this job: set the field `docker_base_image`."
            )
        environment = self._registered(job.image)
        self._ask("PUT", self._path(job.name), f"start the job '{job.name}'", self.request(job, environment))
        return job.name

    def request(self, job: Job, environment: str) -> dict[str, Any]:
        """The command job that is created."""
        properties: dict[str, Any] = {
            "jobType": "Command",
            "displayName": job.name,
            "experimentName": re.sub("[^a-zA-Z0-9_-]", "-", job.pipeline)[:255],
            "tags": {"pipeline": job.pipeline, "run": job.run, "step": job.step},
            "command": shlex.join(job.command),
            "environmentId": environment,
            "computeId": self._compute,
            "environmentVariables": dict(job.environment),
        }
        if job.timeout is not None:
            seconds = math.ceil(job.timeout) + _OVERTIME
            properties["limits"] = {"jobLimitsType": "Command", "timeout": f"PT{seconds}S"}
        return {"properties": properties}

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """What the service says of each."""
        return {id_: self._state(id_) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Ask the service to end it."""
        what = f"cancel the job '{id}'"
        response = self._response("POST", f"{self._path(id)}/cancel", what)
        # The first is how the service answers if it has ended.
        if response.status_code not in (HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND):
            _check(response, what, EngineUnreachableError)

    def log(self, id: str, lines: int = 20) -> list[str]:
        """What its process has printed, as it is in the workspace's storage."""
        files = self._details(id).get("logFiles") or {}
        url = next((url for name, url in files.items() if name.startswith("user_logs/std_log")), None)
        if url is None:
            return []
        found: deque[bytes] = deque(maxlen=lines)
        try:
            response = self._plain.send_request(HttpRequest("GET", url), stream=True)
            with response:
                if response.status_code != HTTPStatus.OK:
                    return []
                found.extend(_lines(response.iter_bytes()))
        except AzureError as error:
            # Its text may show the address, which is a key to the file.
            raise EngineUnreachableError(
                f"The log of the job '{id}' cannot be read: {type(error).__name__}."
            ) from None
        return [line.decode(errors="replace") for line in found]

    def look(self) -> None:
        """See whether the compute is there. Raises RunError."""
        found = self._ask("GET", self._compute, "see the compute")["properties"]
        if (state := found.get("provisioningState")) != "Succeeded":
            name = self._compute.rpartition("/")[2]
            raise RunError(
                f"The compute '{name}' is not there yet: its state is {state}. See it in the studio."
            )

    def machine(self) -> Capacity:
        """What the service says of the size of the compute's machines."""
        compute = self._ask("GET", self._compute, "see the compute")
        size = (compute["properties"].get("properties") or {}).get("vmSize")
        name = self._compute.rpartition("/")[2]
        if size is None:
            kind = compute["properties"]["computeType"]
            raise RunError(
                f"The compute '{name}' is of the type {kind}, of which nobody says what machines have."
            )
        subscription, _, provider = self._workspace.partition("/resourceGroups/")
        path = f"{subscription}/providers/{provider.split('/')[2]}/locations/{compute['location']}/vmSizes"
        listed = self._ask("GET", path, f"see what machines of the size {size} have")["value"]
        found = next((one for one in listed if one["name"].lower() == size.lower()), None)
        if found is None:
            raise RunError(
                f"Azure does not say what machines of the size {size} have, which the compute '{name}' consists of."
            )
        return Capacity(found["vCPUs"], int(found["memoryGB"] * 2**30), tuple(map(str, range(found["gpus"]))))

    def close(self) -> None:
        """Close connections."""
        self._client.close()
        self._plain.close()

    def _registered(self, image: str) -> str:
        """The environment of that image, made if there is none."""
        path = f"{self._environment}/versions/{hashlib.sha256(image.encode()).hexdigest()[:16]}"
        what = f"register the image {image}"
        response = self._response("GET", path, what)
        if response.status_code == HTTPStatus.NOT_FOUND:
            self._ask("PUT", path, what, {"properties": {"image": image, "osType": "Linux"}})
        else:
            _check(response, what)
        return path

    def _state(self, id_: str) -> JobStatus:
        what = f"see how the job '{id_}' is"
        response = self._response("GET", self._path(id_), what)
        if response.status_code == HTTPStatus.NOT_FOUND:
            return JobStatus(JobState.LOST, "Azure Machine Learning does not know it")
        # It may be right a moment later: credentials that are renewed, for instance.
        _check(response, what, EngineUnreachableError)
        status = response.json()["properties"]["status"]
        if status == "Completed":
            return JobStatus(JobState.SUCCEEDED)
        if status in ("Failed", "Canceled"):
            error = (self._details(id_).get("error") or {}).get("error") or {}
            return JobStatus(JobState.FAILED, error.get("message") or f"Azure Machine Learning says {status}")
        return JobStatus(JobState.WAITING if status in _WAITING else JobState.RUNNING)

    def _details(self, id_: str) -> dict[str, Any]:
        """What the run history has of a job, which is at the address that the job names; nothing before it was started."""
        what = f"see the history of the job '{id_}'"
        response = self._response("GET", self._path(id_), what)
        _check(response, what, EngineUnreachableError)
        services = response.json()["properties"].get("services") or {}
        # azureml://westeurope.api.azureml.ms/mlflow/v1.0/subscriptions/...
        host = urlsplit(services.get("Tracking", {}).get("endpoint") or "").netloc
        if not host:
            return {}
        response = self._response(
            "GET", f"https://{host}/history/v1.0{self._workspace}/runs/{id_}/details", what
        )
        _check(response, what, EngineUnreachableError)
        return dict(response.json())

    def _path(self, id_: str) -> str:
        return f"{self._workspace}/jobs/{id_}"

    def _ask(self, method: str, path: str, what: str, body: Any = None) -> Any:
        """The answer, parsed. Raises RunError."""
        response = self._response(method, path, what, body)
        _check(response, what)
        return response.json()

    def _response(self, method: str, path: str, what: str, body: Any = None) -> HttpResponse:
        parameters = {"api-version": _VERSION} if path.startswith("/") else {}
        url = self._client.format_url(path)
        try:
            return self._client.send_request(HttpRequest(method, url, params=parameters, json=body))
        except ClientAuthenticationError as error:
            reason = f"the credentials are missing, not accepted or expired. {_LOGIN}"
            raise EngineUnreachableError(unusable(_SERVICE, what, reason, str(error))) from None
        except AzureError as error:
            reason = "nothing answers there. Is the network right, and the field `endpoint`?"
            raise EngineUnreachableError(unusable(_SERVICE, what, reason, str(error))) from None


def _check(response: HttpResponse, what: str, kind: type[RunError] = RunError) -> None:
    if response.status_code < HTTPStatus.BAD_REQUEST:
        return
    busy = (
        response.status_code == HTTPStatus.TOO_MANY_REQUESTS
        or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
    )
    reason = (
        "it is busy. Try again later." if busy else _REASONS.get(response.status_code, "the request failed.")
    )
    try:
        answer = str(response.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        answer = f"{response.status_code} {response.reason}"
    raise (EngineUnreachableError if busy else kind)(unusable(_SERVICE, what, reason, answer))


def _lines(parts: Iterator[bytes]) -> Iterator[bytes]:
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from whole
    if rest:
        yield rest
