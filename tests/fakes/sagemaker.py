"""A fake of the wire protocol of Amazon SageMaker's processing jobs and of the CloudWatch logs that they write.

Requests are checked against botocore's own description of the service. A job is a process of this machine.
"""

import time
from pathlib import Path
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from tests.fakes.https import Answer, Asked, Body, Fake, answers
from tests.fakes.processes import Process

_LOG_GROUP = "/aws/sagemaker/ProcessingJobs"


class FakeSageMaker(Fake):
    """Runs jobs with `environment`, as the role's credentials are there in a container.

    `refusal` is the next answer to CreateProcessingJob in its place: code and message.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.environment: dict[str, str] = {}
        self.sources: Path | None = None
        self.jobs: dict[str, tuple[Body, Process]] = {}
        self.refusal: tuple[str, str] | None = None
        session = botocore.session.get_session()
        self.models = {
            "SageMaker": session.get_service_model("sagemaker"),
            "Logs_20140328": session.get_service_model("logs"),
        }

    def end(self) -> None:
        for _, process in self.jobs.values():
            process.stop()

    @answers("POST", "/")
    def operation(self, asked: Asked) -> Answer:
        assert asked.headers["Authorization"].startswith("AWS4-HMAC-SHA256 Credential=")
        service, _, operation = asked.headers["X-Amz-Target"].partition(".")
        shape = self.models[service].operation_model(operation).input_shape
        if problems := ParamValidator().validate(asked.body, shape).generate_report():
            return _error("ValidationException", problems)
        return getattr(self, operation)(asked.body)

    def CreateProcessingJob(self, body: Body) -> Answer:  # noqa: N802  the operation's name
        if self.refusal:
            refusal, self.refusal = self.refusal, None
            return _error(*refusal)
        name = body["ProcessingJobName"]
        if name in self.jobs:
            return _error("ResourceInUse", f"Job name must be unique: {name}")
        specification = body["AppSpecification"]
        words = [*specification["ContainerEntrypoint"], *specification["ContainerArguments"]]
        # What the description says in words, and botocore leaves to the service.
        assert len(specification["ContainerArguments"]) <= 100
        assert max(map(len, words)) <= 256
        environment = {**self.environment, **body.get("Environment", {})}
        self.jobs[name] = body, Process(words, self.folder / name, environment, self.sources)
        return Answer({"ProcessingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:processing-job/{name}"})

    def DescribeProcessingJob(self, body: Body) -> Answer:  # noqa: N802  the same
        found = self.jobs.get(body["ProcessingJobName"])
        if found is None:
            return _error("ValidationException", "Could not find requested job with name: x")
        asked, process = found
        answer: dict[str, Any] = {**asked, "ProcessingStartTime": process.started}
        code = process.exit_code
        if process.stopped:
            answer |= {"ProcessingJobStatus": "Stopped", "ExitMessage": "Stopped by user"}
        elif code is None:
            answer |= {"ProcessingJobStatus": "InProgress"}
        elif code == 0:
            answer |= {"ProcessingJobStatus": "Completed"}
        else:
            reason = f"AlgorithmError: See job logs for more information, exit code: {code}"
            answer |= {"ProcessingJobStatus": "Failed", "FailureReason": reason}
        return Answer(answer)

    def StopProcessingJob(self, body: Body) -> Answer:  # noqa: N802  the same
        _, process = self.jobs[body["ProcessingJobName"]]
        if process.exit_code is not None:
            return _error(
                "ValidationException", "The request was rejected because the job is in status Failed"
            )
        process.stop()
        return Answer({})

    def ListProcessingJobs(self, body: Body) -> Answer:  # noqa: N802  the same
        return Answer({"ProcessingJobSummaries": []})

    def DescribeLogStreams(self, body: Body) -> Answer:  # noqa: N802  the same
        assert body["logGroupName"] == _LOG_GROUP
        name = body["logStreamNamePrefix"].rstrip("/")
        streams = [{"logStreamName": f"{name}/algo-1-1700000000"}] if name in self.jobs else []
        return Answer({"logStreams": streams})

    def GetLogEvents(self, body: Body) -> Answer:  # noqa: N802  the same
        _, process = self.jobs[body["logStreamName"].partition("/")[0]]
        now = int(time.time() * 1000)
        lines = process.lines()[-body["limit"] :]
        return Answer({"events": [{"timestamp": now, "message": line} for line in lines]})


def _error(code: str, message: str) -> Answer:
    return Answer({"__type": code, "message": message}, 400)
