"""An orchestrator that hands pipelines to Kubeflow Pipelines."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from zenml.enums import Reach, StackComponentType
from zenml.environment import is_this_machine
from zenml.exceptions import MissingPackageError, RunError, StackValidationError
from zenml.integrations.kubeflow.orchestrators.kubeflow_api import KubeflowAPI
from zenml.integrations.kubeflow.orchestrators.task import Task
from zenml.jobs import JobState, JobStatus
from zenml.jobs.secrets import refuse_variables
from zenml.logger import get_logger
from zenml.orchestrators.base_orchestrator import BaseOrchestrator
from zenml.orchestrators.exporter import Exporter, Graph, refuse_mapped_steps
from zenml.stack import capacity
from zenml.stack.capacity import Capacity, refuse_unmet
from zenml.stack.checks import Check, tried

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment, StepSpec

logger = get_logger("zenml.orchestrators")

_LAST = 5.0
"""Seconds for which the local runner may take to end, when the run has ended or was cancelled."""

_LINES = 15
"""How many lines of the local runner's output are shown when it could not run anything."""

_STATES = {
    "SUCCEEDED": JobState.SUCCEEDED,
    "SKIPPED": JobState.SUCCEEDED,
    "FAILED": JobState.FAILED,
    "CANCELED": JobState.FAILED,
    "PENDING": JobState.WAITING,
}


class KubeflowOrchestrator(BaseOrchestrator):
    """Compiles pipelines to packages of Kubeflow Pipelines 2, and submits them, or runs them here with KFP's own local runner.

    Args:
        endpoint: where the API of Kubeflow Pipelines is, as in "https://kubeflow.example.org/pipeline"; without it, each run is executed
            on this machine, one step after another, as processes.
        namespace: Kubernetes' namespace of the runs.
        token: what the API takes as proof of who we are.
        custom_docker_base_image_name: the image that those for steps begin with, where there is an endpoint.
        synchronous: whether `run` waits for the end.
    """

    FLAVOR: ClassVar[str] = "kubeflow"
    imports_steps: ClassVar[bool] = True

    endpoint: str | None = None
    namespace: str | None = None
    token: SecretStr | None = None
    custom_docker_base_image_name: str | None = None
    synchronous: bool = True

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(
                f"{value!r} is no address of Kubeflow Pipelines: expected one as https://HOST/pipeline"
            )
        if parts.username or parts.password:
            raise ValueError("the address holds a password: give a token in the field of that name")
        return value.rstrip("/")

    @property
    def uses_image(self) -> bool:  # type: ignore[override]  # it depends on a field
        """Whether steps are executed in containers."""
        return self.endpoint is not None

    @property
    def image_base(self) -> str | None:
        """The image that those for steps begin with."""
        return self.custom_docker_base_image_name

    @property
    def is_here(self) -> bool:
        """Whether something on this machine stands for a cluster: its nodes have the images of this machine's engine."""
        return self.endpoint is not None and is_this_machine(urlsplit(self.endpoint).hostname)

    @property
    def spread(self) -> Reach:
        """Processes of this machine, or pods of a cluster."""
        return Reach.HOST if self.endpoint is None else Reach.NETWORK

    def check(self) -> Iterator[Check]:
        """Whether KFP is installed, and its API answers."""
        yield from super().check()
        yield tried("kfp", _version)
        if self.endpoint is not None:
            yield tried("answers", lambda: KubeflowAPI(self).check())

    def check_deployment(self, deployment: Deployment) -> None:
        """See that KFP is there, and can give each step what it needs."""
        _version()
        refuse_mapped_steps(deployment, self, "a package of KFP has as many tasks as were compiled into it")
        needs = self.needs(deployment)
        if self.endpoint is None:
            if needs:
                refuse_unmet(
                    needs,
                    [capacity.here()],
                    lacking=f"The orchestrator '{self.name}' executes steps on this machine, which has less than these need",
                    remedy="Let them ask for less, or give the orchestrator an endpoint.",
                )
            return
        refuse_unmet(
            {name: replace(need, cpu=None, memory=None, gpu=0) for name, need in needs.items()},
            [Capacity(0, 0)],
            lacking=f"The nodes of the orchestrator '{self.name}' have no tokens, which these steps need",
            remedy="Let them ask for cores, memory and devices alone, or use another orchestrator.",
        )
        if StackComponentType.CONTAINER_REGISTRY not in deployment.stack.components and not self.is_here:
            raise StackValidationError(
                f"The nodes of the orchestrator '{self.name}' get images from a container registry, and the stack "
                f"'{deployment.stack.name}' has none: add one, see `zenml container-registry register --help`."
            )
        refuse_variables(self, deployment)
        try:
            KubeflowAPI(self).check()
        except RunError as error:
            raise StackValidationError(error.message) from None

    def exporter(self, deployment: Deployment) -> Exporter:
        """Compiles a package, and runs it."""
        return _LocalExporter(self) if self.endpoint is None else _RemoteExporter(self)


class _LocalExporter(Exporter):
    """KFP's local runner, in a process of its own: it is a global state there, and says much."""

    def __init__(self, orchestrator: KubeflowOrchestrator) -> None:
        self.is_synchronous = orchestrator.synchronous
        self._folder = Path(tempfile.mkdtemp(prefix="zenml-kubeflow-"))
        self._process: subprocess.Popen[bytes] | None = None

    def submit(self, graph: Graph) -> None:
        document = {
            "name": graph.deployment.pipeline,
            "tasks": [asdict(task) for task in _tasks(graph)],
            "end": None if self.is_synchronous else [*graph.arguments, "--end"],
        }
        file = self._folder / "run.json"
        file.write_text(json.dumps(document), encoding="utf-8")
        with (self._folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", f"{__package__}.local_run", str(file), str(self._folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )

    def status(self) -> JobStatus:
        code = None if self._process is None else self._process.poll()
        if code is None:
            return JobStatus(JobState.RUNNING)
        if code == 0:
            return JobStatus(JobState.SUCCEEDED)
        log = (self._folder / "log.txt").read_text(encoding="utf-8", errors="replace")
        said = "\n".join(log.splitlines()[-_LINES:])
        return JobStatus(JobState.FAILED, f"KFP's local runner has ended with {code}:\n{said}\n")

    def cancel(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def close(self) -> None:
        if self._process is not None and not self.is_synchronous:
            return  # it goes on
        if self._process is not None:
            try:
                self._process.wait(_LAST)
            except subprocess.TimeoutExpired:
                with suppress(ProcessLookupError):
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


class _RemoteExporter(Exporter):
    """An endpoint of Kubeflow Pipelines."""

    def __init__(self, orchestrator: KubeflowOrchestrator) -> None:
        self.is_synchronous = orchestrator.synchronous
        self._orchestrator = orchestrator
        self._api = KubeflowAPI(orchestrator)
        self._steps: dict[str, str] = {}
        self._run = ""

    def submit(self, graph: Graph) -> None:
        from google.protobuf import json_format

        from zenml.integrations.kubeflow.orchestrators.package import make_pipeline, task_names

        deployment = graph.deployment
        image = deployment.images[self._orchestrator.TYPE.value]
        end = None if self.is_synchronous else Task("end of the run", [*graph.arguments, "--end"])
        pipeline = make_pipeline(deployment.pipeline, _tasks(graph), image=image, end=end)
        package = json_format.MessageToDict(pipeline.pipeline_spec)
        own = {node.step.name for node in graph.nodes}
        self._steps = {key: name for key, name in task_names(package).items() if name in own}
        self._run = self._api.start(deployment.pipeline, deployment.run_name, package)
        logger.info("Kubeflow executes it: %s/#/runs/details/%s", self._orchestrator.endpoint, self._run)

    def status(self) -> JobStatus:
        run = self._api.run(self._run)
        if run is None:
            return JobStatus(JobState.LOST, "Kubeflow does not know its run any more")
        state = _STATES.get(str(run.state), JobState.RUNNING)
        return JobStatus(state, self._reason(run) if state is JobState.FAILED else "")

    def cancel(self) -> None:
        if self._run:
            self._api.terminate(self._run)

    def _reason(self, run: Any) -> str:
        reason = f"Kubeflow says of the run: {run.state}"
        if run.error is not None:
            reason += f", {run.error.message}"
        tasks = (run.run_details and run.run_details.task_details) or []
        failed = {task.display_name for task in tasks if str(task.state) == "FAILED"} & self._steps.keys()
        if failed:
            reason += f"; of its tasks: {', '.join(repr(self._steps[name]) for name in sorted(failed))}"
        return reason


def _tasks(graph: Graph) -> list[Task]:
    return [
        Task(node.step.name, [*graph.arguments, *node.arguments], node.upstream, **_resources(node.step))
        for node in graph.nodes
    ]


def _resources(step: StepSpec) -> dict[str, Any]:
    need = step.resources
    if need is None or step.step_operator is not None:
        return {}
    return {
        "cpu": f"{need.cpu * 1000:.0f}m" if need.cpu else None,
        "memory": f"{math.ceil(need.memory / (1 << 20))}Mi" if need.memory else None,
        "gpu": need.gpu,
    }


def _version() -> str:
    try:
        import kfp
    except ImportError as error:
        raise MissingPackageError(
            "The orchestrator flavor 'kubeflow' needs the package kfp: install it with `pip install 'kfp>=2.14'`."
        ) from error
    return f"kfp {kfp.__version__}"
