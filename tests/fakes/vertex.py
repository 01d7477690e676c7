"""A fake of the wire protocol of Vertex AI's custom jobs, of Cloud Logging, where they write, and of Compute Engine's types of machines.

Requests are checked against Google's own description of the services. A job is a process of this machine.
"""

from itertools import count
from pathlib import Path

from tests.fakes.discovery import discovered, mistakes
from tests.fakes.google_accounts import PROJECT, FakeGoogle, error
from tests.fakes.https import Answer, Asked, Body, answers
from tests.fakes.processes import Process

REGION = "europe-west3"
_NUMBER = "123456789012"
_JOBS = f"/v1/projects/(?:{PROJECT}|{_NUMBER})/locations/{REGION}/customJobs"
_SERVICES = {"/v2/": "logging.v2", "/compute/": "compute.v1"}
_JOB = rf"{_JOBS}/(?P<number>\d+)"


class FakeVertex(FakeGoogle):
    """Runs jobs with `environment`, as a container has the credentials of its account.

    `refusal` is the next answer to the creation of a job in its place: HTTP status, name of the error, message.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.environment: dict[str, str] = {}
        self.sources: Path | None = None
        self.jobs: dict[str, tuple[Body, Process]] = {}
        self.numbers = count(4_000_000_000)
        self.refusal: tuple[int, str, str] | None = None
        self.machine_type: Body = {"name": "n1-standard-4", "guestCpus": 4, "memoryMb": 15360}

    def end(self) -> None:
        for _, process in self.jobs.values():
            process.stop()

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/token":
            if not self.is_authorized(asked):
                return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            service = next(
                (s for start, s in _SERVICES.items() if asked.path.startswith(start)), "aiplatform.v1"
            )
            if wrong := mistakes(discovered(service), asked):
                return error(400, "INVALID_ARGUMENT", "; ".join(wrong))
        return super().answer(asked)

    @answers("POST", _JOBS)
    def create(self, asked: Asked) -> Answer:
        if self.refusal:
            refusal, self.refusal = self.refusal, None
            return error(*refusal)
        number = str(next(self.numbers))
        (pool,) = asked.body["jobSpec"]["workerPoolSpecs"]
        container = pool["containerSpec"]
        environment = {variable["name"]: variable["value"] for variable in container.get("env", ())}
        process = Process(
            [*container["command"], *container["args"]],
            self.folder / number,
            {**self.environment, **environment},
            self.sources,
        )
        # The service answers with the project's number in the place of its id, and takes both.
        name = f"projects/{_NUMBER}/locations/{REGION}/customJobs/{number}"
        self.jobs[number] = {**asked.body, "name": name}, process
        return Answer({**self.jobs[number][0], "state": "JOB_STATE_PENDING"})

    @answers("GET", _JOBS)
    def list(self, asked: Asked) -> Answer:
        return Answer({})

    @answers("GET", _JOB)
    def get(self, asked: Asked, number: str) -> Answer:
        if number not in self.jobs:
            return error(404, "NOT_FOUND", f"The CustomJob {number} is not found.")
        body, process = self.jobs[number]
        code = process.exit_code
        if process.stopped:
            return Answer(
                {**body, "state": "JOB_STATE_CANCELLED", "error": {"code": 1, "message": "CANCELED"}}
            )
        if code is None:
            return Answer({**body, "state": "JOB_STATE_RUNNING"})
        if code == 0:
            return Answer({**body, "state": "JOB_STATE_SUCCEEDED"})
        reason = f"The replica workerpool0-0 exited with a non-zero status of {code}."
        return Answer({**body, "state": "JOB_STATE_FAILED", "error": {"code": 3, "message": reason}})

    @answers("POST", rf"{_JOB}:cancel")
    def cancel(self, asked: Asked, number: str) -> Answer:
        if number not in self.jobs:
            return error(404, "NOT_FOUND", f"The CustomJob {number} is not found.")
        _, process = self.jobs[number]
        if process.exit_code is not None:
            return error(400, "FAILED_PRECONDITION", "CANCEL is not allowed in state JOB_STATE_FAILED.")
        process.stop()
        return Answer({})

    @answers("GET", f"/compute/v1/projects/{PROJECT}/aggregated/machineTypes")
    def machine_types(self, asked: Asked) -> Answer:
        zones: Body = {"europe-west3-a": {"warning": {"code": "NO_RESULTS_ON_PAGE"}}}
        if asked.form["filter"] == f'name = "{self.machine_type["name"]}"':
            zones["europe-west3-b"] = {"machineTypes": [self.machine_type]}
        return Answer({"items": {f"zones/{name}": listed for name, listed in zones.items()}})

    @answers("POST", "/v2/entries:list")
    def entries(self, asked: Asked) -> Answer:
        assert asked.body["resourceNames"] == [f"projects/{PROJECT}"]
        assert asked.body["orderBy"] == "timestamp desc"
        number = asked.body["filter"].removeprefix('resource.type="ml_job" AND resource.labels.job_id=')
        lines = self.jobs[number.strip('"')][1].lines()[-asked.body["pageSize"] :]
        return Answer({"entries": [{"jsonPayload": {"message": line}} for line in reversed(lines)]})
