"""What happens in the workers of a Dask cluster."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

from distributed import WorkerPlugin, get_worker

from zenml._version import __version__
from zenml.orchestrators.attempt_host import AttemptHost

if TYPE_CHECKING:
    from distributed import Worker

    from zenml.model.runs import StepOutcome, StepTask
    from zenml.orchestrators.attempt_host import PackedRunner


class RunPlugin(WorkerPlugin):
    """Brings a run to each worker, also to those that join later, and ends what is left of it; `is_kept` are workers of many runs."""

    def __init__(self, run: str, runner: PackedRunner, grace: float, *, is_kept: bool) -> None:
        self.name = run
        self._runner = runner
        self._grace = grace
        self._is_kept = is_kept

    def setup(self, worker: Worker) -> None:
        """Be ready for attempts; processes are started when they are needed."""
        self.host = AttemptHost(self._runner, self._grace, is_kept=self._is_kept)

    async def teardown(self, worker: Worker) -> None:
        """End the processes, beside the worker's own business."""
        await asyncio.to_thread(self.host.close)


def execute(run: str, task: StepTask, key: str) -> StepOutcome:
    """Execute an attempt: the task that Dask sees."""
    return _host(run, get_worker()).execute(task, key)


async def cancel(run: str, key: str, dask_worker: Worker) -> None:
    """End an attempt, if this worker has it or gets it. A coroutine: nobody can go on before a function has returned."""
    if run in dask_worker.plugins:
        _host(run, dask_worker).cancel(key)


def versions() -> tuple[str, str]:
    """Those of this framework and of Python; code of the one does not run on the other."""
    return __version__, "{}.{}".format(*sys.version_info)


def _host(run: str, worker: Worker) -> AttemptHost:
    plugin = worker.plugins[run]
    assert isinstance(plugin, RunPlugin)  # noqa: S101  nobody else takes such a name
    return plugin.host
