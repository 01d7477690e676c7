"""A fake of Kubeflow Pipelines: what of its API (v2beta1) runs need, over HTTPS, with tasks as containers of a real Docker engine.

There is no Kubernetes here, and nothing of Kubeflow's server. What is real: the definitions of KFP, which every package must keep, the
commands, which KFP's own code makes of it, and the containers. What is imitated: bearer tokens, namespaces, experiments, the order of
tasks, exit handlers, and that what does not depend on a failed task goes on.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import kfp_server_api
from docker import DockerClient
from docker.errors import DockerException
from google.protobuf import json_format
from kfp.local import executor_input_utils, placeholder_utils, utils
from kfp.pipeline_spec.pipeline_spec_pb2 import ComponentSpec, PipelineSpec, PipelineTaskSpec

from tests.docker_engine import DockerEngine
from tests.fakes.https import Answer, Asked, Fake, answers, served

Document = dict[str, Any]
_RUN = "/apis/v2beta1/runs/(?P<id_>[^/:]+)"
_EXPERIMENTS = "/apis/v2beta1/experiments"
_ENDED = ("SUCCEEDED", "FAILED", "CANCELED")
_AFTER_ALL = PipelineTaskSpec.TriggerPolicy.ALL_UPSTREAM_TASKS_COMPLETED
_GRACE = 5
"""Seconds between SIGTERM and SIGKILL."""


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.answer = Answer({"error": message, "code": status, "message": message}, status)


@dataclass(eq=False)
class Run:
    document: Document
    package: PipelineSpec
    tasks: dict[str, Document] = field(default_factory=dict)
    """What is told of them, by their names."""
    is_terminated: bool = False

    @property
    def id(self) -> str:
        return str(self.document["run_id"])

    def told(self) -> Document:
        tasks = [
            {"run_id": self.id, "task_id": f"{self.id}-{name}", **task} for name, task in self.tasks.items()
        ]
        return {**self.document, "run_details": {"task_details": tasks}}


class FakeKubeflowPipelines(Fake):
    """One that knows one user, by the token, who has one namespace."""

    def __init__(self, engine: DockerEngine) -> None:
        super().__init__()
        self.docker = DockerClient(base_url=engine.url, max_pool_size=64)
        self.token = uuid4().hex
        self.namespace = "team"
        self.experiments: list[Document] = []
        self.runs: dict[str, Run] = {}
        self.is_gone = False
        self.shows_login = False
        self._threads: list[threading.Thread] = []

    def close(self) -> None:
        for run in self.runs.values():
            self.terminate(run)
        for thread in self._threads:
            thread.join()
        self.docker.close()

    @property
    def run(self) -> Run:
        """The last one."""
        return list(self.runs.values())[-1]

    # What is asked

    def answer(self, asked: Asked) -> Answer:
        if self.is_gone:
            raise ConnectionResetError
        if asked.headers.get("Authorization") != f"Bearer {self.token}":
            if self.shows_login:
                is_there = asked.path == "/login"
                return (
                    Answer("<html>", 200) if is_there else Answer("", 302, {"Location": f"{self.url}/login"})
                )
            return Answer({"error": "no", "code": 16, "message": "who is that?"}, 401)
        try:
            return super().answer(asked)
        except Refused as refused:
            return refused.answer

    @answers("GET", _EXPERIMENTS)
    def list_experiments(self, asked: Asked) -> Answer:
        self._check_namespace(asked.form.get("namespace"))
        wanted = [
            one["stringValue"] for one in json.loads(asked.form.get("filter", "{}")).get("predicates", [])
        ]
        found = [one for one in self.experiments if not wanted or one["display_name"] in wanted]
        return Answer({"experiments": found} if found else {})

    @answers("POST", _EXPERIMENTS)
    def create_experiment(self, asked: Asked) -> Answer:
        check_fields(asked.body, kfp_server_api.V2beta1Experiment)
        self._check_namespace(asked.body.get("namespace"))
        self.experiments.append({**asked.body, "experiment_id": str(uuid4())})
        return Answer(self.experiments[-1])

    @answers("POST", "/apis/v2beta1/runs")
    def create_run(self, asked: Asked) -> Answer:
        check_fields(asked.body, kfp_server_api.V2beta1Run)
        if asked.body["experiment_id"] not in [one["experiment_id"] for one in self.experiments]:
            raise Refused(404, "no such experiment")
        try:
            package = json_format.ParseDict(asked.body["pipeline_spec"], PipelineSpec())
            for executor in package.deployment_spec["executors"].values():
                utils.struct_to_executor_spec(executor)
        except json_format.ParseError as error:
            raise Refused(400, f"Invalid input error: {error}") from None
        run = Run({**asked.body, "run_id": str(uuid4()), "state": "PENDING"}, package)
        self.runs[run.id] = run
        self._start(self._execute, run)
        return Answer(run.told())

    @answers("GET", _RUN)
    def get_run(self, asked: Asked, id_: str) -> Answer:
        return Answer(self._known(id_).told())

    @answers("POST", f"{_RUN}:terminate")
    def terminate_run(self, asked: Asked, id_: str) -> Answer:
        self.terminate(self._known(id_))
        return Answer({})

    def _check_namespace(self, namespace: str | None) -> None:
        if namespace is None:
            raise Refused(400, "Invalid input error: a namespace is required in multi-user mode")
        if namespace != self.namespace:
            raise Refused(403, f"not authorized in the namespace {namespace}")

    def _known(self, id_: str) -> Run:
        if id_ not in self.runs:
            raise Refused(404, f"Run {id_} not found")
        return self.runs[id_]

    # What happens then

    def _start(self, function: Any, *arguments: Any) -> None:
        thread = threading.Thread(target=function, args=arguments)
        self._threads.append(thread)
        thread.start()

    def terminate(self, run: Run) -> None:
        run.is_terminated = True
        if run.document["state"] not in _ENDED:
            run.document["state"] = "CANCELING"
        for container in self.docker.containers.list(filters={"label": f"run={run.id}"}):
            with suppress(DockerException):
                container.stop(timeout=_GRACE)

    def _execute(self, run: Run) -> None:
        run.document["state"] = "RUNNING"
        run.tasks["root"] = {"display_name": "root", "state": "RUNNING"}
        state = self._execute_dag(run, run.package.root)
        run.document["state"] = run.tasks["root"]["state"] = "CANCELED" if run.is_terminated else state

    def _execute_dag(self, run: Run, component: ComponentSpec) -> str:
        """Start each task when those that it waits for have ended; gives the state in the end."""
        waiting = dict(component.dag.tasks)
        states: dict[str, str] = {}
        changed = threading.Condition()

        def execute(name: str, task: PipelineTaskSpec) -> None:
            state = "FAILED"
            try:
                state = self._execute_task(run, name, task)
            finally:
                with changed:
                    states[name] = state
                    changed.notify()

        with changed:
            while len(states) < len(component.dag.tasks):
                left = len(waiting)
                for name, task in list(waiting.items()):
                    before = {states.get(one) for one in task.dependent_tasks}
                    is_last = task.trigger_policy.strategy == _AFTER_ALL
                    if run.is_terminated or (not is_last and before - {"SUCCEEDED", None}):
                        states[name] = "OMITTED"
                    elif None in before:
                        continue
                    else:
                        self._start(execute, name, task)
                    del waiting[name]
                if len(waiting) == left:
                    changed.wait()
        return "FAILED" if "FAILED" in states.values() else "SUCCEEDED"

    def _execute_task(self, run: Run, name: str, task: PipelineTaskSpec) -> str:
        told = run.tasks[name] = {"display_name": name, "state": "RUNNING"}
        component = run.package.components[task.component_ref.name]
        if component.WhichOneof("implementation") == "dag":
            told["state"] = self._execute_dag(run, component)
            return str(told["state"])
        try:
            is_good = self._run_container(run, name, component) == 0
        except DockerException as error:
            told["error"] = {"code": 1, "message": str(error)}
            is_good = False
        told["state"] = "SUCCEEDED" if is_good else "FAILED"
        return str(told["state"])

    def _run_container(self, run: Run, name: str, component: ComponentSpec) -> int:
        executor = utils.struct_to_executor_spec(
            run.package.deployment_spec["executors"][component.executor_label]
        )
        given = executor_input_utils.construct_executor_input(component, {}, "/tmp/outputs", True)
        command = placeholder_utils.replace_placeholders(
            full_command=[*executor.container.command, *executor.container.args],
            executor_input_dict=executor_input_utils.executor_input_to_dict(given, component),
            pipeline_resource_name=run.id,
            task_resource_name=name,
            pipeline_root="/tmp/outputs",
            unique_pipeline_id=run.id,
        )
        limits = executor.container.resources
        options: Document = {}
        if limits.memory_limit:
            options |= {
                "mem_limit": int(limits.memory_limit * 1e9),
                "memswap_limit": int(limits.memory_limit * 1e9),
            }
        if limits.cpu_limit:
            options["nano_cpus"] = int(limits.cpu_limit * 1e9)
        container = self.docker.containers.create(
            executor.container.image,
            command,
            init=True,
            network_mode="host",
            labels={"run": run.id, "task": name},
            **options,
        )
        try:
            container.start()
            if run.is_terminated:  # meanwhile
                container.stop(timeout=_GRACE)
            return int(container.wait()["StatusCode"])
        finally:
            container.remove(force=True)


def check_fields(body: Document, model: Any) -> None:
    """See that it is one of KFP's documents."""
    if unknown := set(body) - set(model.attribute_map.values()):
        raise Refused(400, f"unknown fields: {', '.join(sorted(unknown))}")


@contextmanager
def fake_kubeflow(engine: DockerEngine, folder: Path) -> Iterator[tuple[FakeKubeflowPipelines, Path]]:
    """One that is served, and the certificate of who vouches for it."""
    fake = FakeKubeflowPipelines(engine)
    with served(fake, folder) as authority:
        try:
            yield fake, authority
        finally:
            fake.close()
