"""Packages of Kubeflow Pipelines, and what its API is asked. The API here is a fake: no backend runs."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest
import yaml

from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator
from zenml.integrations.kubeflow.orchestrators.package import compile_package
from zenml.integrations.kubeflow.orchestrators.task import Task
from zenml.jobs import EngineUnreachableError, JobState
from zenml.model.deployment import Deployment, ResourceSpec, StackSpec, StepSpec
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
    Task("first", ["-m", "zenml.engine.node", "--step", "first"]),
    Task("second one", ["-m", "zenml.engine.node", "--step", "second one"], ["first"], "500m", "64Mi", 2),
]


def test_a_package_for_a_cluster_has_a_container_for_each_step(tmp_path) -> None:
    path = tmp_path / "package.yaml"
    compile_package(path, "train", TASKS, image="registry/train:1", end=None)
    package = yaml.safe_load(path.read_text())
    first, second = package["root"]["dag"]["tasks"].values()
    assert first["inputs"]["parameters"]["arguments"]["runtimeValue"]["constant"] == list(TASKS[0].arguments)
    assert second["dependentTasks"] == ["run-process"]
    assert second["taskInfo"] == {"name": "second one"}
    assert not any(task["cachingOptions"] for task in (first, second))
    containers = [e["container"] for e in package["deploymentSpec"]["executors"].values()]
    assert {container["image"] for container in containers} == {"registry/train:1"}
    resources = containers[1]["resources"]
    assert resources["resourceCpuLimit"] == resources["resourceCpuRequest"] == "500m"
    assert resources["resourceMemoryLimit"] == "64Mi"
    assert resources["accelerator"]["resourceCount"] == "2"
    assert "pip install" not in path.read_text()


def test_a_run_that_nobody_waits_for_has_an_exit_handler(tmp_path) -> None:
    path = tmp_path / "package.yaml"
    compile_package(path, "train", TASKS, image="registry/train:1", end=Task("the end", ["--end"]))
    tasks = yaml.safe_load(path.read_text())["root"]["dag"]["tasks"]
    (last,) = [task for task in tasks.values() if task["taskInfo"] == {"name": "the end"}]
    assert last["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}


# The API


class FakeKubeflow(BaseHTTPRequestHandler):
    """Takes runs, and says of each what `state` says."""

    state: ClassVar[str] = "RUNNING"
    asked: ClassVar[list[tuple[str, str, Any]]] = []

    def do_GET(self) -> None:
        self._take(None)
        if self.headers["Authorization"] != "Bearer good":
            self._answer(403, {"error": "no"})
        elif re.search(r"/experiments", self.path):
            self._answer(
                200, {"experiments": [{"experiment_id": "e1", "display_name": "train", "namespace": ""}]}
            )
        elif self.path.endswith("/runs/r1"):
            self._answer(
                200, {"run_id": "r1", "state": self.state, "error": {"code": 1, "message": "no image"}}
            )
        else:
            self._answer(200, {"multi_user": False})

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
            "Kubeflow says of the run: FAILED, no image",
        )
        exporter.cancel()
    assert FakeKubeflow.asked[-1][1].endswith("/runs/r1:terminate")


def test_an_endpoint_that_does_not_let_us_in(endpoint: str) -> None:
    there = KubeflowOrchestrator(name="kubeflow", endpoint=endpoint, token="wr0ng")
    with pytest.raises(
        RunError, match="of the orchestrator 'kubeflow' refuses: 403 .*namespace and token"
    ) as raised:
        there.exporter(graph().deployment).submit(graph())
    assert "wr0ng" not in str(raised.value)


def test_an_endpoint_that_is_not_there() -> None:
    there = KubeflowOrchestrator(name="kubeflow", endpoint="http://127.0.0.1:9")
    with pytest.raises(EngineUnreachableError, match="http://127.0.0.1:9 .*does not answer"):
        there.exporter(graph().deployment).submit(graph())
