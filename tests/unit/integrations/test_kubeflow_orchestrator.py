"""Packages of Kubeflow Pipelines, and what its API is asked. The API here is a fake: no backend runs."""

import json
import re
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from google.protobuf import json_format

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import ConfigurationError, StackValidationError
from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator
from zenml.integrations.kubeflow.orchestrators.kubeflow_api import KubeflowAPI
from zenml.integrations.kubeflow.orchestrators.package import make_pipeline, task_names
from zenml.integrations.kubeflow.orchestrators.task import Task
from zenml.jobs import EngineUnreachableError, JobState
from zenml.model.deployment import Deployment, ResourceSpec, StackSpec, StepSpec
from zenml.model.records import ComponentRecord
from zenml.orchestrators.exporter import Graph, Node
from zenml.testing.conformance import programs
from zenml.testing.isolation import isolated_stack


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"endpoint": "kubeflow.example.org"},
            "no address of Kubeflow Pipelines: expected one as https://HOST",
        ),
        ({"endpoint": "https://ann:pw@h"}, "holds a password: give a token"),
    ],
)
def test_what_cannot_be_configured(fields, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        KubeflowOrchestrator(name="kubeflow", **fields)


def test_steps_are_spread_over_a_cluster_only_with_an_endpoint() -> None:
    here, there = KubeflowOrchestrator(name="a"), KubeflowOrchestrator(name="b", endpoint="https://h/p")
    assert (here.spread, here.uses_image) == (Reach.HOST, False)
    assert (there.spread, there.uses_image) == (Reach.NETWORK, True)


def test_mapped_steps_are_refused() -> None:
    with isolated_stack(orchestrator=KubeflowOrchestrator(name="kubeflow")) as stack:
        with pytest.raises(
            StackValidationError, match="cannot execute mapped steps, since a package of KFP has as"
        ):
            programs.mapped(count=2).run()
        assert stack.metadata_store.count_runs() == 0


# Packages

TASKS = [
    Task("first_one", ["-m", "zenml.engine.node", "--step", "first_one"]),
    Task("second", ["-m", "zenml.engine.node", "--step", "second"], ["first_one"], "500m", "64Mi", 2),
    Task("Second", ["-m", "zenml.engine.node", "--step", "Second"]),
]


def package_of(image: str | None, end: Task | None = None) -> dict[str, Any]:
    return json_format.MessageToDict(make_pipeline("Train it", TASKS, image=image, end=end).pipeline_spec)


def test_a_package_for_a_cluster_has_a_container_for_each_step() -> None:
    package = package_of("registry/train:1")
    assert package["pipelineInfo"] == {"name": "train-it"}
    tasks = package["root"]["dag"]["tasks"]
    assert set(tasks) == {"first-one", "second", "second-2"}
    assert tasks["second"]["dependentTasks"] == ["first-one"]
    assert not any(task["cachingOptions"] for task in tasks.values())
    assert task_names(package) == {"first-one": "first_one", "second": "second", "second-2": "Second"}
    containers = {name: e["container"] for name, e in package["deploymentSpec"]["executors"].items()}
    assert {container["image"] for container in containers.values()} == {"registry/train:1"}
    assert containers["exec-first-one"]["command"] == ["python", *TASKS[0].arguments]
    resources = containers["exec-second"]["resources"]
    assert resources["resourceCpuLimit"] == resources["resourceCpuRequest"] == "500m"
    assert resources["resourceMemoryLimit"] == "64Mi"
    assert resources["accelerator"]["resourceCount"] == "2"


def test_a_run_that_nobody_waits_for_has_an_exit_handler() -> None:
    package = package_of("registry/train:1", Task("the end", ["--end"]))
    last = package["root"]["dag"]["tasks"]["the-end"]
    assert last["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert set(task_names(package).values()) > {"first_one", "second", "Second"}


def test_a_package_for_the_local_runner_installs_nothing() -> None:
    assert "pip install" not in str(package_of(None))


# The API


class FakeKubeflow(BaseHTTPRequestHandler):
    """Takes runs, and says of each what `state` says."""

    state: ClassVar[str] = "RUNNING"
    asked: ClassVar[list[tuple[str, str, Any]]] = []

    def do_GET(self) -> None:
        self._take(None)
        if re.search(r"/experiments", self.path):
            self._answer(
                200, {"experiments": [{"experiment_id": "e1", "display_name": "train", "namespace": ""}]}
            )
        elif self.state == "DELETED":
            self._answer(404, {"message": "Run r1 not found"})
        else:
            tasks = [{"display_name": name, "state": "FAILED"} for name in ("root", "first", "first-driver")]
            told = {"error": {"code": 1, "message": "no image"}, "run_details": {"task_details": tasks}}
            self._answer(200, {"run_id": "r1", "state": self.state, **told})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"] or 0)
        self._take(json.loads(self.rfile.read(length)) if length else None)
        self._answer(200, {"run_id": "r1"} if self.path.endswith("/runs") else {})

    def _take(self, body: Any) -> None:
        self.asked.append((self.command, self.path.partition("?")[0], body))

    def _answer(self, code: int, content: Any) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[str]:
    FakeKubeflow.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeKubeflow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def graph() -> Graph:
    step = StepSpec("first", "m:first", "first", resources=ResourceSpec(cpu=0.5, memory=1 << 26))
    images = {"orchestrator": "registry/train:1"}
    deployment = Deployment("train", "run 1", None, (step,), StackSpec("s", {}), images=images)
    return Graph(deployment, 7, (Node(step, ()),), "s3://b/d.json", "c3RhY2s=")


def test_a_run_is_submitted_watched_and_cancelled(endpoint: str, monkeypatch) -> None:
    there = KubeflowOrchestrator(name="kubeflow", endpoint=endpoint, token="good")
    with there.exporter(graph().deployment) as exporter:
        exporter.submit(graph())
        (submitted,) = [
            body for method, path, body in FakeKubeflow.asked if (method, path[-5:]) == ("POST", "/runs")
        ]
        assert submitted["display_name"] == "run 1"
        assert "c3RhY2s=" in json.dumps(submitted["pipeline_spec"])
        assert exporter.status().state is JobState.RUNNING
        monkeypatch.setattr(FakeKubeflow, "state", "FAILED")
        status = exporter.status()
        assert (status.state, status.reason) == (
            JobState.FAILED,
            "Kubeflow says of the run: FAILED, no image; of its tasks: 'first'",
        )
        monkeypatch.setattr(FakeKubeflow, "state", "DELETED")
        assert exporter.status().state is JobState.LOST
        exporter.cancel()
    assert FakeKubeflow.asked[-1][1].endswith("/runs/r1:terminate")


def test_an_endpoint_that_is_not_there() -> None:
    there = KubeflowOrchestrator(name="kubeflow", endpoint="http://127.0.0.1:9")
    with pytest.raises(EngineUnreachableError, match=r"http://127.0.0.1:9 .*does not answer"):
        there.exporter(graph().deployment).submit(graph())


def test_an_endpoint_that_never_answers(monkeypatch) -> None:
    monkeypatch.setattr("zenml.integrations.kubeflow.orchestrators.kubeflow_api._TIMEOUT", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(EngineUnreachableError, match="does not answer: .*Read timed out"):
            KubeflowAPI(KubeflowOrchestrator(name="kubeflow", endpoint=url)).check()


# What is refused before the run


def test_nodes_have_no_tokens(endpoint: str) -> None:
    step = replace(graph().deployment.steps[0], resources=ResourceSpec(cpu=900, custom={"license": 1}))
    with pytest.raises(StackValidationError, match="the step 'first' needs license: 1, of 0"):
        KubeflowOrchestrator(name="kubeflow", endpoint=endpoint).check_deployment(
            replace(graph().deployment, steps=(step,))
        )


def test_nodes_elsewhere_need_a_registry() -> None:
    there = KubeflowOrchestrator(name="kubeflow", endpoint="https://kubeflow.example.org/pipeline")
    with pytest.raises(
        StackValidationError,
        match="nodes of the orchestrator 'kubeflow' get images from a container registry",
    ):
        there.check_deployment(graph().deployment)


def test_variables_of_this_environment_are_not_handed_on(endpoint: str, monkeypatch) -> None:
    monkeypatch.setenv("BUCKET_SECRET", "s3cr3t-value")
    there = KubeflowOrchestrator(name="kubeflow", endpoint=endpoint)
    store = ComponentRecord(
        StackComponentType.ARTIFACT_STORE, "bucket", "s3", uuid4(), {"secret": "{{env.BUCKET_SECRET}}"}
    )
    deployment = replace(graph().deployment, stack=StackSpec("s", {store.type: store}))
    with pytest.raises(
        StackValidationError, match=r"no way to hand them on.*\n.*'bucket': {{env.BUCKET_SECRET}}"
    ) as refused:
        there.check_deployment(deployment)
    assert "s3cr3t-value" not in str(refused.value)
