"""An orchestrator that hands pipelines to Airflow as DAGs."""

from __future__ import annotations

import math
import os
import pprint
import re
import sys
import time
from collections.abc import Iterator
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from zenml.enums import Reach
from zenml.environment import is_this_machine
from zenml.exceptions import RunError, StackValidationError
from zenml.integrations.airflow.orchestrators.airflow_api import AirflowAPI, AirflowDeniedError
from zenml.jobs import EngineUnreachableError, JobState, JobStatus
from zenml.logger import get_logger
from zenml.orchestrators.base_orchestrator import BaseOrchestrator
from zenml.orchestrators.exporter import Exporter, Graph, refuse_mapped_steps
from zenml.stack.checks import Check, tried
from zenml.storage.files import replace

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.model.deployment import Deployment

logger = get_logger("zenml.orchestrators")

_LOOK = 1.0
"""Seconds between two looks for a DAG that Airflow has not seen yet."""

_STATES = {
    "queued": JobState.WAITING,
    "running": JobState.RUNNING,
    "success": JobState.SUCCEEDED,
    "failed": JobState.FAILED,
}


class AirflowOrchestrator(BaseOrchestrator):
    """Executes pipelines as DAGs of Airflow 3, one DAG for each pipeline: Airflow decides when and where each step is executed.

    Args:
        url: where Airflow's API is, as in "http://127.0.0.1:8080".
        dags_folder: a folder that Airflow reads DAGs from, as it is seen here.
        username, password: a user of Airflow; without them and a token, Airflow must let everybody in.
        token: one that Airflow's API takes, in place of a user.
        run_in: "process" executes steps as processes where Airflow executes its tasks, "container" in containers there.
        python: the interpreter of these processes, as Airflow's workers find it; by default the one of this process.
        container_network: Docker's network for these containers.
        custom_docker_base_image_name: the image that theirs begins with.
        pool: Airflow's pool that steps take slots of: one, or as many as they need cores.
        synchronous: whether `run` waits for the end.
        patience_seconds: for how long Airflow may not see a new DAG; it looks for new files every five minutes, unless told otherwise.
    """

    FLAVOR: ClassVar[str] = "airflow"
    imports_steps: ClassVar[bool] = True

    url: str
    dags_folder: str
    username: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    run_in: Literal["process", "container"] = "process"
    python: str | None = None
    container_network: str = "bridge"
    custom_docker_base_image_name: str | None = None
    pool: str = "default_pool"
    synchronous: bool = True
    patience_seconds: float = Field(default=400.0, gt=0)

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{value!r} is no address of Airflow: expected one as http://127.0.0.1:8080")
        if parts.username or parts.password:
            raise ValueError("the address holds a password: give it in the fields username and password")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _check_user(self) -> Self:
        given = {name for name in ("username", "password") if self.__dict__[name]}
        if given and self.token:
            raise ValueError(f"a token is enough: leave out {' and '.join(sorted(given))}")
        if len(given) == 1:
            raise ValueError(f"username and password belong together: only the {given.pop()} is given")
        return self

    @property
    def address(self) -> str:
        """Where Airflow's API is."""
        return self.url

    @property
    def uses_image(self) -> bool:  # type: ignore[override]  # it depends on a field
        """Whether steps are executed in containers."""
        return self.run_in == "container"

    @property
    def image_base(self) -> str | None:
        """The image that those for steps begin with."""
        return self.custom_docker_base_image_name

    @property
    def spread(self) -> Reach:
        """This machine for the processes of an Airflow that is here; else the network."""
        is_here = is_this_machine(urlsplit(self.address).hostname)
        return Reach.HOST if is_here and self.run_in == "process" else Reach.NETWORK

    def check(self) -> Iterator[Check]:
        """Whether Airflow lets us in, and its folder can be written to."""
        yield from super().check()
        yield tried(
            "answers", lambda: f"Airflow {self.api().version()}", "Start Airflow, or correct the url."
        )
        yield tried("lets in", self._check_pool, "Give the orchestrator a user, or a pool that Airflow has.")
        yield tried("DAGs", self._check_folder, "Give the folder that Airflow reads, and the right to write.")

    def check_deployment(self, deployment: Deployment) -> None:
        """See that Airflow is there, and can give each step what it needs."""
        refuse_mapped_steps(deployment, self, "a DAG has as many tasks as were written into it")
        try:
            slots = self._check_pool()
            self._check_folder()
        except (EngineUnreachableError, AirflowDeniedError) as error:
            raise StackValidationError(error.message) from error
        for step in deployment.steps:
            need = step.resources
            if need is None or step.step_operator is not None:
                continue
            if (cores := math.ceil(need.cpu or 0)) > slots:
                raise StackValidationError(
                    f"The step '{step.name}' needs {need.cpu:g} cores, but the pool '{self.pool}' of Airflow has {slots} slots: let it ask "
                    f"for less, or give the pool more slots ({cores} are needed)."
                )
            if need.memory or need.gpu or need.custom:
                raise StackValidationError(
                    f"The step '{step.name}' needs memory, devices or tokens: Airflow counts slots of a pool alone, which stand for cores. "
                    "Let it ask for cores, or use another orchestrator."
                )

    def exporter(self, deployment: Deployment) -> Exporter:
        """Writes a DAG and starts it."""
        return _AirflowExporter(self, deployment)

    def api(self) -> AirflowAPI:
        """Airflow's API, as the orchestrator's user."""
        return AirflowAPI(self)

    def _check_pool(self) -> int:
        slots = self.api().slots(self.pool)
        if slots is None:
            raise StackValidationError(
                f"Airflow has no pool '{self.pool}', which the orchestrator '{self.name}' names: make it, or name another one."
            )
        return slots

    def _check_folder(self) -> str:
        folder = self.dags_folder
        if not Path(folder).is_dir():
            raise StackValidationError(
                f"The dags_folder {folder!r} of the orchestrator '{self.name}' is not there: give the folder that Airflow reads DAGs from."
            )
        if not os.access(folder, os.W_OK):
            raise StackValidationError(
                f"The dags_folder {folder!r} of the orchestrator '{self.name}' cannot be written to."
            )
        return folder


class _AirflowExporter(Exporter):
    def __init__(self, orchestrator: AirflowOrchestrator, deployment: Deployment) -> None:
        self._orchestrator = orchestrator
        self._api = orchestrator.api()
        self.is_synchronous = orchestrator.synchronous
        self._run = str(deployment.run_uuid)
        self._conf: dict[str, Any] | None = None
        self._dag = ""

    def submit(self, graph: Graph) -> None:
        self._dag, content = dag_file(self._orchestrator, graph)
        file = Path(self._orchestrator.dags_folder) / f"{self._dag}.py"
        if not file.is_file() or file.read_text(encoding="utf-8") != content:
            replace(file, content)
        left = {node.step.name for node in graph.nodes}
        self._conf = {
            "run": self._run,
            "run_id": graph.run_id,
            "known": [step.name for step in graph.deployment.steps if step.name not in left],
            "again": [node.step.name for node in graph.nodes if node.again],
        }
        if image := graph.deployment.images.get(self._orchestrator.TYPE.value):
            self._conf["image"] = image
        self._patience = time.monotonic() + self._orchestrator.patience_seconds
        self._start()
        while not self.is_synchronous and self._conf is not None:
            time.sleep(_LOOK)
            self._start()

    def status(self) -> JobStatus:
        if self._conf is not None:
            self._start()
            return JobStatus(JobState.WAITING)
        run = self._api.run(self._dag, self._run)
        if run is None:
            return JobStatus(JobState.LOST, "Airflow does not know its run any more")
        state = _STATES.get(str(run["state"]), JobState.RUNNING)
        if state is not JobState.FAILED:
            return JobStatus(state)
        failed = [
            task["task_id"] for task in self._api.tasks(self._dag, self._run) if task["state"] == "failed"
        ]
        return JobStatus(state, f"in Airflow, the tasks {', '.join(failed) or 'of its DAG'} have failed")

    def cancel(self) -> None:
        if self._conf is None:
            self._api.end_run(self._dag, self._run)
        self._conf = None

    def _start(self) -> None:
        """Start the DAG, if Airflow knows it by now."""
        known = self._api.dag(self._dag)
        if known is None or known.get("is_stale"):
            if (error := self._api.import_error(f"{self._dag}.py")) is not None:
                raise RunError(f"Airflow cannot read the DAG '{self._dag}':\n{error}")
            if time.monotonic() > self._patience:
                raise RunError(
                    f"Airflow has not seen the DAG '{self._dag}' within {self._orchestrator.patience_seconds:g} seconds: does it "
                    f"read {self._orchestrator.dags_folder!r}, and how often ([dag_processor] refresh_interval)?"
                )
            return
        if known.get("is_paused"):
            self._api.unpause(self._dag)
        assert self._conf is not None  # noqa: S101  asked by the caller
        self._api.trigger(self._dag, self._run, self._conf)
        self._conf = None
        logger.info(
            "Airflow executes it: %s/dags/%s/runs/%s", self._orchestrator.address, self._dag, self._run
        )


def dag_file(orchestrator: AirflowOrchestrator, graph: Graph) -> tuple[str, str]:
    """The name and the file of the DAG of a pipeline. They do not depend on the run, but on the pipeline's steps and the stack."""
    deployment = graph.deployment
    tasks: dict[str, str] = {}
    for number, step in enumerate(deployment.steps):
        safe = _safe(step.name)
        tasks[step.name] = safe if safe == step.name else f"{safe}.{number}"
    image = deployment.images.get(orchestrator.TYPE.value)
    document = {
        "pipeline": deployment.pipeline,
        "tasks": tasks,
        "upstream": {
            tasks[s.name]: [tasks[name] for name in dict.fromkeys(s.upstream)] for s in deployment.steps
        },
        "slots": {
            tasks[s.name]: math.ceil(s.resources.cpu)
            for s in deployment.steps
            if s.resources is not None and s.resources.cpu
        },
        "pool": orchestrator.pool,
        "folder": graph.url.rsplit("/", 3)[0],
        "stack": graph.stack,
        "command": _command(orchestrator),
        "image": None if image is None else image.rpartition(":")[0],
        "environment": _environment(orchestrator),
        "has_end": not orchestrator.synchronous,
    }
    body = files(__package__).joinpath("airflow_dag.py").read_text(encoding="utf-8")
    body = body.replace("= {}\n", f"= {pprint.pformat(document, width=120)}\n", 1)
    digest = sha256(body.encode()).hexdigest()[:10]
    name = f"zenml.{_safe(deployment.pipeline)}.{digest}"
    return name, f"{body}\n\nwith make_dag({name!r}):\n    make_tasks()\n"


def _command(orchestrator: AirflowOrchestrator) -> list[str]:
    if orchestrator.run_in == "process":
        return [orchestrator.python or sys.executable]
    return ["docker", "run", "--rm", "--init", f"--network={orchestrator.container_network}"]


def _environment(orchestrator: AirflowOrchestrator) -> dict[str, str]:
    """What says where this machine's configuration lies, for processes of it. None of it is a secret."""
    if orchestrator.spread is not Reach.HOST:
        return {}
    names = ("ZENML_CONFIG_PATH", "ZENML_REPOSITORY_PATH")
    return {name: os.environ[name] for name in names if name in os.environ}


def _safe(name: str) -> str:
    """The name as Airflow takes one: of letters, digits, dashes, dots and underscores."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name)
