"""A run as a package of Kubeflow Pipelines 2: a file of YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kfp import compiler, dsl

from zenml.integrations.kubeflow.orchestrators.process import run_process, run_process_and_go_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from zenml.integrations.kubeflow.orchestrators.task import Task

_LOCAL_IMAGE = "python"
"""What the local runner, which uses no image, takes for one with Python."""


def compile_package(
    path: Path, name: str, tasks: Sequence[Task], *, image: str | None, end: Task | None
) -> None:
    """Write the package of the pipeline `name` to `path`.

    Without an `image`, it is for the local runner, which stops at the first task that fails: none does then, and each says by itself
    whether there is something to do. `end` is started when all have ended.
    """
    decorate = dsl.component(base_image=image or _LOCAL_IMAGE, install_kfp_package=False)
    node: Any = decorate(run_process if image else run_process_and_go_on)

    def make(task: Task) -> Any:
        made = node(arguments=list(task.arguments)).set_display_name(task.name).set_caching_options(False)
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

    compiler.Compiler().compile(dsl.pipeline(graph, name=name), str(path))
