"""The file of each DAG, with its own GRAPH. It is executed by Airflow, where this framework need not be installed."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import Any
from uuid import UUID

from airflow.sdk import DAG, BaseOperator, TriggerRule
from airflow.sdk.exceptions import AirflowFailException, DownstreamTasksSkipped

GRAPH: dict[str, Any] = {}

_GRACE = 4.0
"""Seconds for which a process may end by itself; Airflow kills this one after five."""


class Begin(BaseOperator):
    """Looks at what the run was started with, and leaves out the steps whose results are known."""

    def execute(self, context: Any) -> None:
        """Skip them."""
        conf = context["dag_run"].conf or {}
        if "run" not in conf:
            raise AirflowFailException(
                "This DAG is started by its pipeline's run(), which tells it what to do."
            )
        known = [task for name, task in GRAPH["tasks"].items() if name in conf.get("known", ())]
        if known:
            raise DownstreamTasksSkipped(tasks=known)


class Node(BaseOperator):
    """One process of a run; `what` are its own arguments."""

    def __init__(self, *, what: list[str], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.what = what
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> None:
        """Run it, and show what it says."""
        conf = context["dag_run"].conf or {}
        # Of what is told, nothing is taken as it is: it becomes part of a command.
        run = UUID(str(conf["run"]))
        command = [
            *GRAPH["command"],
            *((_image(conf), "python") if GRAPH["image"] else ()),
            *("-m", "zenml.engine.node"),
            *("--deployment", f"{GRAPH['folder']}/{run}/tasks/deployment.json"),
            *("--stack", GRAPH["stack"]),
            *("--run-id", str(int(conf["run_id"]))),
            *self.what,
            *("--again",) * (self.what[-1] in conf.get("again", ())),
        ]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **GRAPH["environment"]},
            start_new_session=True,
        )
        for line in self._process.stdout or ():
            self.log.info("%s", line.rstrip())
        if code := self._process.wait():
            raise AirflowFailException(f"The process has ended with {code}; what it said stands above.")

    def on_kill(self) -> None:
        """End the process, and those that it has started."""
        if self._process is None:
            return
        try:
            os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _image(conf: dict[str, Any]) -> str:
    """The run's image: one of the repository that this file names, of whatever version."""
    name = str(conf.get("image", ""))
    if not name.startswith(f"{GRAPH['image']}:"):
        raise AirflowFailException(f"The image {name!r} is none of {GRAPH['image']}.")
    return name


def make_dag(name: str) -> DAG:
    """The DAG of the pipeline."""
    return DAG(
        name,
        dag_display_name=GRAPH["pipeline"],
        tags=["zenml"],
        schedule=None,
        catchup=False,
        is_paused_upon_creation=False,
    )


def make_tasks() -> None:
    """Its tasks: one for each step."""
    begin = Begin(task_id="zenml-begin")
    nodes = {
        task: Node(
            what=["--step", name],
            task_id=task,
            # What is behind a step that was left out is looked at all the same: its own process knows.
            trigger_rule=TriggerRule.NONE_FAILED,
            pool=GRAPH["pool"],
            pool_slots=GRAPH["slots"].get(task, 1),
        )
        for name, task in GRAPH["tasks"].items()
    }
    for task, node in nodes.items():
        begin >> node
        for upstream in GRAPH["upstream"][task]:
            nodes[upstream] >> node
    if GRAPH["has_end"]:
        end = Node(what=["--end"], task_id="zenml-end", trigger_rule=TriggerRule.ALL_DONE)
        list(nodes.values()) >> end
