"""An orchestrator that hands pipelines to Kubeflow Pipelines."""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from pydantic import SecretStr, field_validator

from zenml.enums import Reach
from zenml.exceptions import MissingPackageError, RunError, StackValidationError
from zenml.integrations.kubeflow.orchestrators.task import Task
from zenml.jobs import EngineUnreachableError, JobState, JobStatus
from zenml.logger import get_logger
from zenml.orchestrators.base_orchestrator import BaseOrchestrator
from zenml.orchestrators.exporter import Exporter, Graph, refuse_mapped_steps
from zenml.stack import capacity
from zenml.stack.capacity import Capacity
from zenml.stack.checks import Check, tried

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment, StepSpec

logger = get_logger("zenml.orchestrators")

T = TypeVar("T")

_LAST = 5.0
"""Seconds for which the local runner may take to end, when the run has ended or was cancelled."""

_LINES = 15
"""How many lines of the local runner's output are shown when it could not run anything."""

_TIMEOUT = 10.0
"""Seconds for which an answer is waited for."""

_FAILING = 500

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
        synchronous: whether `run` waits for the end.
    """

    FLAVOR: ClassVar[str] = "kubeflow"
    imports_steps: ClassVar[bool] = True

    endpoint: str | None = None
    namespace: str | None = None
    token: SecretStr | None = None
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
    def spread(self) -> Reach:
        """Processes of this machine, or pods of a cluster."""
        return Reach.HOST if self.endpoint is None else Reach.NETWORK

    def check(self) -> Iterator[Check]:
        """Whether KFP is installed, and its API answers."""
        yield from super().check()
        yield tried("kfp", _version)
        if self.endpoint is not None:
            yield tried("answers", lambda: _client(self) and "")

    def check_deployment(self, deployment: Deployment) -> None:
        """See that KFP is there, and can give each step what it needs."""
        _version()
        refuse_mapped_steps(deployment, self, "a package of KFP has as many tasks as were compiled into it")
        own = [(s.name, s.resources) for s in deployment.steps if s.resources and s.step_operator is None]
        if self.endpoint is not None:
            reasons = [
                f"  the step '{name}' needs {', '.join(need.custom)}: Kubernetes knows cores, memory and devices alone"
                for name, need in own
                if need.custom
            ]
        else:
            there = Capacity(capacity.cores(), capacity.memory(), capacity.devices(), {}) if own else None
            reasons = [
                f"  the step '{name}' needs {reason}"
                for name, need in own
                for reason in (there.lacks([need]) if there else ())
            ]
        if reasons:
            raise StackValidationError(
                f"The orchestrator '{self.name}' cannot give these steps what they need:\n"
                + "\n".join(reasons)
            )

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
            "name": _safe(graph.deployment.pipeline),
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
    """The API of Kubeflow Pipelines."""

    def __init__(self, orchestrator: KubeflowOrchestrator) -> None:
        self.is_synchronous = orchestrator.synchronous
        self._orchestrator = orchestrator
        self._client = _client(orchestrator)
        self._run = ""

    def submit(self, graph: Graph) -> None:
        from zenml.integrations.kubeflow.orchestrators.package import compile_package

        deployment = graph.deployment
        image = deployment.images[self._orchestrator.TYPE.value]
        with tempfile.TemporaryDirectory(prefix="zenml-kubeflow-") as folder:
            package = Path(folder, "package.yaml")
            end = None if self.is_synchronous else Task("end of the run", [*graph.arguments, "--end"])
            compile_package(package, _safe(deployment.pipeline), _tasks(graph), image=image, end=end)
            started = _asked(
                self._orchestrator,
                lambda: self._client.create_run_from_pipeline_package(
                    str(package),
                    run_name=deployment.run_name,
                    experiment_name=deployment.pipeline,
                    namespace=self._orchestrator.namespace,
                    enable_caching=False,
                ),
            )
        self._run = started.run_id
        logger.info("Kubeflow executes it: %s/#/runs/details/%s", self._orchestrator.endpoint, self._run)

    def status(self) -> JobStatus:
        run = _asked(self._orchestrator, lambda: self._client.get_run(self._run))
        state = _STATES.get(str(run.state), JobState.RUNNING)
        reason = f"Kubeflow says of the run: {run.state}" if state is JobState.FAILED else ""
        if state is JobState.FAILED and run.error is not None:
            reason += f", {run.error.message}"
        return JobStatus(state, reason)

    def cancel(self) -> None:
        if self._run:
            _asked(self._orchestrator, lambda: self._client.terminate_run(self._run))


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


def _client(orchestrator: KubeflowOrchestrator) -> Any:
    """A client of the API, which was seen to answer: KFP's own asks five times, and tells of it at length."""
    token = None if orchestrator.token is None else orchestrator.token.get_secret_value()
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    request = Request(f"{orchestrator.endpoint}/apis/v2beta1/healthz", headers=headers)  # noqa: S310  the orchestrator checks it
    try:
        with urlopen(request, timeout=_TIMEOUT):  # noqa: S310
            pass
    except HTTPError as error:
        with error:
            raise _refusal(orchestrator, error.code, error.reason) from None
    except OSError as error:
        raise _silence(orchestrator, error) from None
    from kfp import Client

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # about versions of Kubeflow before 2
        return Client(
            host=orchestrator.endpoint, namespace=orchestrator.namespace or "kubeflow", existing_token=token
        )


def _asked(orchestrator: KubeflowOrchestrator, question: Callable[[], T]) -> T:
    """The answer of the API, whose errors are those of an engine."""
    from kfp_server_api import ApiException
    from urllib3.exceptions import HTTPError as TransportError

    try:
        return question()
    except ApiException as error:
        raise _refusal(orchestrator, error.status, error.reason) from None
    except (TransportError, OSError) as error:
        raise _silence(orchestrator, error) from None


def _refusal(orchestrator: KubeflowOrchestrator, code: int, reason: str) -> RunError:
    if code >= _FAILING:
        return _silence(orchestrator, f"{code} {reason}")
    return RunError(
        f"The Kubeflow Pipelines at {orchestrator.endpoint} of the orchestrator '{orchestrator.name}' refuses: {code} {reason}. Look at "
        "its endpoint, namespace and token."
    )


def _silence(orchestrator: KubeflowOrchestrator, reason: object) -> EngineUnreachableError:
    return EngineUnreachableError(
        f"The Kubeflow Pipelines at {orchestrator.endpoint} of the orchestrator '{orchestrator.name}' does not answer: {reason}. Start it, "
        "or give the orchestrator another endpoint."
    )


def _safe(name: str) -> str:
    """The name as KFP takes one: of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "pipeline"
