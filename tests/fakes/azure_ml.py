"""A fake of the wire protocol of Azure Machine Learning's jobs, and of the run history and storage of its workspace.

Requests are checked against the models of Azure's own management library. A job is a process of this machine.
"""

import secrets
import shlex
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

from tests.fakes.azure_identity import FakeAzure
from tests.fakes.https import Answer, Asked, Body, answers
from tests.fakes.processes import Process

with warnings.catch_warnings():  # its docstrings have backslashes
    warnings.simplefilter("ignore")
    from azure.mgmt.machinelearningservices import models
    from azure.mgmt.machinelearningservices._serialization import Deserializer, Serializer

SUBSCRIPTION, GROUP, WORKSPACE, COMPUTE = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "group", "space", "cpus"
_SUBSCRIPTION, _PROVIDER = f"/subscriptions/{SUBSCRIPTION}", "providers/Microsoft.MachineLearningServices"
_PLACE = f"{_SUBSCRIPTION}/resourceGroups/{GROUP}/{_PROVIDER}/workspaces/{WORKSPACE}"
_JOB = f"{_PLACE}/jobs/(?P<id>[a-zA-Z0-9_-]+)"
_CLASSES = {name: value for name, value in vars(models).items() if isinstance(value, type)}


class FakeAzureML(FakeAzure):
    """Runs jobs with `environment`, as a compute has the credentials of its identity.

    `refusal` is the next answer to the creation of a job in its place: HTTP status, code, message.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.environment: dict[str, str] = {}
        self.sources: Path | None = None
        self.environments: dict[str, Body] = {}
        self.jobs: dict[str, tuple[Body, Process]] = {}
        self.keys: dict[str, str] = {}
        self.refusal: tuple[int, str, str] | None = None
        self.compute_state = "Succeeded"
        self.compute_type = "AmlCompute"

    def end(self) -> None:
        for _, process in self.jobs.values():
            process.stop()

    def answer(self, asked: Asked) -> Answer:
        if asked.path.startswith(("/subscriptions/", "/history/")):
            if not self.is_authorized(asked):
                return _error(401, "InvalidAuthenticationToken", "The access token is invalid.")
            if asked.path.startswith("/subscriptions/") and asked.form != {"api-version": "2023-04-01"}:
                return _error(400, "InvalidApiVersionParameter", f"The api-version {asked.form} is invalid.")
        return super().answer(asked)

    @answers("GET", f"{_PLACE}/computes/{COMPUTE}")
    def compute(self, asked: Asked) -> Answer:
        return Answer(
            {
                "name": COMPUTE,
                "location": "westeurope",
                "properties": {
                    "computeType": self.compute_type,
                    "provisioningState": self.compute_state,
                    "properties": {"vmSize": "STANDARD_DS3_V2"} if self.compute_type == "AmlCompute" else {},
                },
            }
        )

    @answers("GET", f"{_SUBSCRIPTION}/{_PROVIDER}/locations/westeurope/vmSizes")
    def sizes(self, asked: Asked) -> Answer:
        size = {"name": "Standard_DS3_v2", "vCPUs": 4, "gpus": 0, "memoryGB": 14.0}
        return Answer({"value": [{"name": "Standard_A1_v2", "vCPUs": 1, "gpus": 0, "memoryGB": 2.0}, size]})

    @answers("GET", rf"{_PLACE}/environments/(?P<name>[\w-]+)/versions/(?P<version>\w+)")
    def environment_version(self, asked: Asked, name: str, version: str) -> Answer:
        if asked.path not in self.environments:
            return _error(404, "UserError", f"Could not find asset with ID: {name}:{version}")
        return Answer(self.environments[asked.path])

    @answers("PUT", rf"{_PLACE}/environments/(?P<name>[\w-]+)/versions/(?P<version>\w+)")
    def register(self, asked: Asked, name: str, version: str) -> Answer:
        if wrong := _mistakes("EnvironmentVersion", asked.body):
            return _error(400, "UserError", wrong)
        assert asked.path not in self.environments  # a version is never changed
        self.environments[asked.path] = asked.body
        return Answer(asked.body, 201)

    @answers("PUT", _JOB)
    def create(self, asked: Asked, id: str) -> Answer:
        if self.refusal:
            refusal, self.refusal = self.refusal, None
            return _error(*refusal)
        if wrong := _mistakes("JobBase", asked.body):
            return _error(400, "UserError", wrong)
        properties = asked.body["properties"]
        if properties["environmentId"] not in self.environments:
            return _error(400, "UserError", f"No such environment: {properties['environmentId']}")
        if properties["computeId"] != f"{_PLACE}/computes/{COMPUTE}":
            return _error(
                404, "UserError", f"The specified resource does not exist: {properties['computeId']}"
            )
        if id not in self.jobs:
            environment = {**self.environment, **properties["environmentVariables"]}
            process = Process(shlex.split(properties["command"]), self.folder / id, environment, self.sources)
            self.jobs[id] = asked.body, process
        return self.job(asked, id)

    @answers("GET", _JOB)
    def job(self, asked: Asked, id: str) -> Answer:
        if id not in self.jobs:
            return _error(404, "UserError", f"Could not find job {id}.")
        body, process = self.jobs[id]
        code = process.exit_code
        status = "Running" if code is None else "Failed" if code else "Completed"
        status = "Canceled" if process.stopped else status
        endpoint = f"azureml://{self.url.removeprefix('https://')}/mlflow/v1.0{_PLACE}"
        services = {"Tracking": {"endpoint": endpoint, "jobServiceType": "Tracking"}}
        return Answer(
            {"name": id, "properties": {**body["properties"], "status": status, "services": services}}
        )

    @answers("POST", f"{_JOB}/cancel")
    def cancel(self, asked: Asked, id: str) -> Answer:
        _, process = self.jobs[id]
        if process.exit_code is not None:
            return _error(400, "UserError", "The job is in a terminal state.")
        process.stop()
        return Answer({}, 202)

    @answers("GET", f"/history/v1.0{_PLACE}/runs/(?P<id>[a-zA-Z0-9_-]+)/details")
    def details(self, asked: Asked, id: str) -> Answer:
        _, process = self.jobs[id]
        details: dict[str, Any] = {"runId": id}
        if process.exit_code:
            message = f"Execution failed. User process 'python' exited with status code {process.exit_code}."
            details["error"] = {"error": {"code": "UserError", "message": message}}
        key = self.keys.setdefault(id, secrets.token_hex())
        log = f"{self.url}/storage/{id}/std_log.txt?sig={key}"
        return Answer(
            {**details, "logFiles": {"system_logs/lifecycler.log": "x", "user_logs/std_log.txt": log}}
        )

    @answers("GET", "/storage/(?P<id>[a-zA-Z0-9_-]+)/std_log.txt")
    def log(self, asked: Asked, id: str) -> Answer:
        assert "Authorization" not in asked.headers  # the token is not for the storage
        assert asked.form["sig"] == self.keys[id]
        return Answer("\n".join(self.jobs[id][1].lines()))


def _mistakes(name: str, body: Body) -> str:
    """What is wrong with a body: what the library's models require, and fields that they do not know."""
    try:
        known = Serializer(_CLASSES).body(Deserializer(_CLASSES)(name, deepcopy(body)), name)
    except Exception as error:  # noqa: BLE001  each library has its own
        return f"{type(error).__name__}: {error}"
    return "" if _names(known) == _names(body) else f"not all fields are known: {body}"


def _names(value: Any) -> Any:
    return {name: _names(item) for name, item in value.items()} if isinstance(value, dict) else None


def _error(status: int, code: str, message: str) -> Answer:
    return Answer({"error": {"code": code, "message": message}}, status)
