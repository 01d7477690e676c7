"""A run as a pipeline of Kubeflow Pipelines 2."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kfp import dsl

from zenml.integrations.kubeflow.orchestrators.process import run_process_and_go_on

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zenml.integrations.kubeflow.orchestrators.task import Task

_LOCAL_IMAGE = "python"
"""What the local runner, which uses no image, takes for one with Python."""

_here: Any = dsl.component(run_process_and_go_on, base_image=_LOCAL_IMAGE, install_kfp_package=False)


def make_pipeline(name: str, tasks: Sequence[Task], *, image: str | None, end: Task | None) -> Any:
    """The pipeline `name`, as KFP has them. `end` is started when all others have ended.

    Without an `image`, it is for the local runner, which executes Python functions alone, and stops at the first task that fails: none
    does then, and each says by itself whether there is something to do.
    """

    def make(task: Task) -> Any:
        node = _here(arguments=list(task.arguments)) if image is None else _container(task, image)()
        made = node.set_display_name(task.name).set_caching_options(False)
        if task.cpu:
            made.set_cpu_request(task.cpu).set_cpu_limit(task.cpu)
        if task.memory:
            made.set_memory_request(task.memory).set_memory_limit(task.memory)
        if task.gpu:
            made.set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(task.gpu)
        return made

    def make_all() -> None:
        made: dict[str, Any] = {}
        for task in tasks:
            made[task.name] = make(task).after(*(made[upstream] for upstream in task.upstream))

    def graph():  # type: ignore[no-untyped-def]  # noqa: ANN202  KFP reads annotations, which are texts here
        if end is None:
            make_all()
            return
        with dsl.ExitHandler(make(end)):
            make_all()

    return dsl.pipeline(graph, name=_safe(name))


def task_names(package: Mapping[str, Any]) -> dict[str, str]:
    """The names of tasks, by those that they have in Kubeflow."""
    dags = [package["root"], *package["components"].values()]
    return {
        key: task["taskInfo"]["name"]
        for part in dags
        for key, task in part.get("dag", {}).get("tasks", {}).items()
    }


def _container(task: Task, image: str) -> Any:
    """A component of this task alone: nothing of KFP need be in the image."""

    def run():  # type: ignore[no-untyped-def]  # noqa: ANN202  as above
        return dsl.ContainerSpec(image=image, command=["python", *task.arguments])

    run.__name__ = _safe(task.name)
    return dsl.container_component(run)


def _safe(name: str) -> str:
    """The name as KFP takes one: of small letters, digits and dashes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "unnamed"
