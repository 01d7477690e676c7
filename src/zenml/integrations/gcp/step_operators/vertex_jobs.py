"""Jobs as custom jobs of Vertex AI.

https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from google.auth.exceptions import RefreshError, TransportError
from requests import RequestException, Response

from zenml.exceptions import RunError
from zenml.integrations.gcp.rest import ATTEMPTS, LOGIN, message, status
from zenml.jobs import EngineUnreachableError, Job, JobState, JobStatus, unusable
from zenml.stack.capacity import Capacity
from zenml.step_operators.machine_step_operator import MachineJobs

_SERVICE = "Vertex AI"
_OVERTIME = 300
_LONGEST_RUN = 7 * 24 * 3600
"""Seconds: what the service takes where nothing is said."""
_WAITING = ("JOB_STATE_UNSPECIFIED", "JOB_STATE_QUEUED", "JOB_STATE_PENDING")
_FAILED = ("JOB_STATE_FAILED", "JOB_STATE_CANCELLED", "JOB_STATE_EXPIRED")
_SUCCEEDED = ("JOB_STATE_SUCCEEDED", "JOB_STATE_PARTIALLY_SUCCEEDED")
_PASSING = frozenset({"UNAVAILABLE", "INTERNAL", "DEADLINE_EXCEEDED", "ABORTED", "UNKNOWN"})
_ERROR_OF_SERVER = 500

_REASONS = {
    "UNAUTHENTICATED": f"the credentials are not accepted, or have expired. {LOGIN}",
    "PERMISSION_DENIED": "access is denied, or there is no such project, or its Vertex AI API is not enabled. Who runs pipelines needs the "
    "roles roles/aiplatform.user and roles/logging.viewer, roles/compute.viewer where steps say what they need, and "
    "roles/iam.serviceAccountUser for the account of the steps.",
    "NOT_FOUND": "there is no such project or resource.",
    "RESOURCE_EXHAUSTED": "the project's quota does not allow it. Set `max_jobs` to how many such machines it allows at once, choose "
    "another `machine_type` or `region`, or ask for a higher quota in the console.",
    "INVALID_ARGUMENT": "it is refused. Mend the fields of the step operator that the answer names.",
    "FAILED_PRECONDITION": "it is refused. Mend the fields of the step operator that the answer names.",
}


class VertexJobs(MachineJobs):
    """Custom jobs of one machine each."""

    def __init__(
        self,
        session: Any,  # google-auth's, which is annotated in part
        *,
        project: str,
        region: str,
        machine_type: str,
        accelerator_type: str | None = None,
        accelerator_count: int = 0,
        encryption_key: str | None = None,
        service_account: str | None = None,
        network: str | None = None,
        labels: Mapping[str, str] | None = None,
        max_jobs: int | None = None,
        endpoint: str | None = None,
        logging_endpoint: str,
        compute_endpoint: str,
        timeout: float,
    ) -> None:
        self._session = session
        self._project = project
        self._region = region
        self._parent = f"projects/{project}/locations/{region}"
        self._machine: dict[str, Any] = {"machineType": machine_type}
        if accelerator_type:
            self._machine |= {"acceleratorType": accelerator_type, "acceleratorCount": accelerator_count}
        self._encryption_key = encryption_key
        self._service_account = service_account
        self._network = network
        self._labels = dict(labels or {})
        self.max_jobs = max_jobs
        self._url = f"{(endpoint or f'https://{region}-aiplatform.googleapis.com').rstrip('/')}/v1"
        self._logging = f"{logging_endpoint.rstrip('/')}/v2"
        self._compute = f"{compute_endpoint.rstrip('/')}/compute/v1"
        self._timeout = timeout

    def submit(self, job: Job) -> str:
        """Create a custom job; gives its resource name."""
        url = f"{self._url}/{self._parent}/customJobs"
        answer = self._ask("POST", url, f"start the job '{job.name}'", self.request(job))
        return str(answer["name"])

    def request(self, job: Job) -> dict[str, Any]:
        """The custom job that is created. Raises RunError if there is no image to run."""
        if job.image is None:
            raise RunError(
                "Vertex AI runs images alone, and there is none for this job: set the field `base_image`."
            )
        runtime = _LONGEST_RUN if job.timeout is None else math.ceil(job.timeout) + _OVERTIME
        container: dict[str, Any] = {
            "imageUri": job.image,
            "command": [job.command[0]],
            "args": list(job.command[1:]),
        }
        if job.environment:
            container["env"] = [{"name": k, "value": v} for k, v in job.environment.items()]
        machine = dict(self._machine)
        # To other families of machines, a number is attached that goes with the type.
        if job.resources is not None and job.resources.gpu and machine["machineType"].startswith("n1-"):
            machine["acceleratorCount"] = job.resources.gpu
        pool = {"machineSpec": machine, "replicaCount": "1", "containerSpec": container}
        # An attempt is begun once: whether there is another one is the run's business.
        scheduling = {"timeout": f"{runtime}s", "disableRetries": True}
        spec: dict[str, Any] = {"workerPoolSpecs": [pool], "scheduling": scheduling}
        if self._service_account:
            spec["serviceAccount"] = self._service_account
        if self._network:
            spec["network"] = self._network
        request: dict[str, Any] = {"displayName": job.name, "jobSpec": spec}
        if self._labels:
            request["labels"] = self._labels
        if self._encryption_key:
            request["encryptionSpec"] = {"kmsKeyName": self._encryption_key}
        return request

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """What the service says of each."""
        return {id_: self._state(id_) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Ask the service to end it: it does so within a minute or two."""
        what = f"cancel the job '{id}'"
        response = self._response("POST", f"{self._url}/{id}:cancel", what, {})
        # That is how the service answers if it has ended, or is not known.
        if not response.ok and status(response) not in ("FAILED_PRECONDITION", "NOT_FOUND"):
            raise EngineUnreachableError(str(_refused(response, what)))

    def log(self, id: str, lines: int = 20) -> list[str]:
        """What is in Cloud Logging, a few seconds after it was printed."""
        number = id.rpartition("/")[2]
        query = {
            "resourceNames": [f"projects/{self._project}"],
            "filter": f'resource.type="ml_job" AND resource.labels.job_id="{number}"',
            "orderBy": "timestamp desc",
            "pageSize": lines,
        }
        answer = self._ask("POST", f"{self._logging}/entries:list", f"read the log of the job '{id}'", query)
        texts = [
            str(entry.get("textPayload") or entry.get("jsonPayload", {}).get("message", ""))
            for entry in reversed(answer.get("entries", ()))
        ]
        return [line for text in texts for line in text.splitlines()][-lines:]

    def look(self) -> None:
        """See whether jobs can be listed. Raises as the other methods do."""
        self._ask("GET", f"{self._url}/{self._parent}/customJobs?pageSize=1", "list jobs")

    def machine(self) -> Capacity:
        """What Compute Engine says of the type of machine, and the accelerators that are attached to it."""
        name = self._machine["machineType"]
        what = f"see what a machine of the type {name} has"
        query = urlencode({"filter": f'name = "{name}"'})
        url = f"{self._compute}/projects/{self._project}/aggregated/machineTypes?{query}"
        found = self._ask("GET", url, what).get("items", {})
        here = [
            one
            for zone, listed in found.items()
            if zone.startswith(f"zones/{self._region}-")
            for one in listed.get("machineTypes", ())
        ]
        if not here:
            raise RunError(
                f"Compute Engine, which knows what machines have, has no type {name} in the region {self._region}."
            )
        built_in = sum(one["guestAcceleratorCount"] for one in here[0].get("accelerators", ()))
        gpus = max(built_in, self._machine.get("acceleratorCount", 0))
        return Capacity(here[0]["guestCpus"], here[0]["memoryMb"] << 20, tuple(map(str, range(gpus))))

    def close(self) -> None:
        """Close connections."""
        self._session.close()

    def _state(self, id_: str) -> JobStatus:
        what = f"see how the job '{id_}' is"
        response = self._response("GET", f"{self._url}/{id_}", what)
        if not response.ok:
            if status(response) == "NOT_FOUND":
                return JobStatus(JobState.LOST, "Vertex AI does not know it")
            # It may be right a moment later: credentials that are renewed, for instance.
            raise EngineUnreachableError(str(_refused(response, what)))
        job = response.json()
        state = job.get("state", _WAITING[0])
        if state in _SUCCEEDED:
            return JobStatus(JobState.SUCCEEDED)
        if state in _FAILED:
            reason = job.get("error", {}).get("message") or f"Vertex AI says {state}"
            return JobStatus(JobState.FAILED, reason)
        return JobStatus(JobState.WAITING if state in _WAITING else JobState.RUNNING)

    def _ask(self, method: str, url: str, what: str, body: Any = None) -> Any:
        """The answer, parsed. Raises RunError."""
        response = self._response(method, url, what, body)
        if not response.ok:
            raise _refused(response, what)
        return response.json()

    def _response(self, method: str, url: str, what: str, body: Any = None) -> Response:
        try:
            response: Response = self._session.request(
                method, url, json=body, timeout=self._timeout, max_allowed_time=ATTEMPTS * self._timeout
            )
        except RefreshError as error:
            raise EngineUnreachableError(
                unusable(_SERVICE, what, _REASONS["UNAUTHENTICATED"], str(error))
            ) from None
        except (RequestException, TransportError) as error:
            reason = "nothing answers there. Are the region and the network right?"
            raise EngineUnreachableError(unusable(_SERVICE, what, reason, str(error))) from None
        return response


def _refused(response: Response, what: str) -> RunError:
    name = status(response)
    reason = _REASONS.get(name, "the request failed.")
    kind = RunError
    if name not in _REASONS and (name in _PASSING or response.status_code >= _ERROR_OF_SERVER):
        reason, kind = "it is busy. Try again later.", EngineUnreachableError
    return kind(unusable(_SERVICE, what, reason, message(response)))
