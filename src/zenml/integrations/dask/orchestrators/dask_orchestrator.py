"""An orchestrator that executes steps on a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from zenml.enums import Reach
from zenml.environment import is_this_machine
from zenml.exceptions import StackValidationError
from zenml.orchestrators.attempt_host import PackedRunner
from zenml.orchestrators.base_orchestrator import BaseOrchestrator, Executor, StepRunner
from zenml.stack import capacity
from zenml.stack.capacity import Capacity
from zenml.stack.checks import Check, tried

if TYPE_CHECKING:
    from distributed import Client, LocalCluster

    from zenml.model.deployment import Deployment
    from zenml.stack import Stack

if find_spec("distributed") is None:
    # Imported where the cluster is used: every process that executes a step makes this component, and has no need of it.
    raise ModuleNotFoundError("No module named 'distributed'", name="distributed")

_CONNECT = 10.0
"""Seconds for which a scheduler is waited for."""


class DaskOrchestrator(BaseOrchestrator):
    """Executes each attempt of a step as a task of a Dask cluster.

    A worker of Dask hands attempts to processes of its own, which are used again. An attempt whose worker is lost begins again on
    another one, as often as Dask's setting `distributed.scheduler.allowed-failures` says.

    Args:
        address: that of a running scheduler, as in "tcp://10.0.0.5:8786"; without it, each run has a cluster of its own on this machine.
        max_workers: how many steps may run at once; by default, as many as the workers of the cluster have threads.
        grace_seconds: how long the code of a cancelled step may clean up before its process is killed.
    """

    FLAVOR: ClassVar[str] = "dask"

    address: str | None = None
    max_workers: int | None = Field(default=None, ge=1)
    grace_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value if "://" in value else f"tcp://{value}")
            is_whole = bool(parts.hostname and parts.port)
        except ValueError:
            is_whole = False
        if not is_whole:
            raise ValueError(f"{value!r} is no address of a scheduler: expected one as tcp://10.0.0.5:8786")
        return value

    @property
    def spread(self) -> Reach:
        """Processes of this machine, or of those of the cluster."""
        if self.address is None:
            return Reach.HOST
        parts = urlsplit(self.address if "://" in self.address else f"tcp://{self.address}")
        return Reach.HOST if is_this_machine(parts.hostname) else Reach.NETWORK

    def check(self) -> Iterator[Check]:
        """Whether there is a scheduler, with workers that understand this process."""
        yield from super().check()
        if self.address is not None:
            yield tried("workers", self._workers_found, "Start workers with `dask worker ADDRESS`.")

    def check_deployment(self, deployment: Deployment) -> None:
        """See that there are workers, and for each step one that has what it needs."""
        if self.address is None:
            workers: Mapping[str, Mapping[str, float]] = {"the cluster": _own_resources()}
        else:
            with closing(self.client()) as client:
                workers = {address: worker["resources"] for address, worker in workers_of(client).items()}
                self._check_versions(client)
            if not workers and self.max_workers is not None:
                return  # one that grows when there is something to do
            if not workers:
                raise StackValidationError(
                    f"The Dask scheduler {self.address} of the orchestrator '{self.name}' has no workers: start some with "
                    f"`dask worker {self.address}`. If the cluster grows by itself, say how far: set the orchestrator's max_workers."
                )
        started = ', or say what workers have when they are started: `dask worker ... --resources "CPU=8 MEMORY=32e9 GPU=1"`'
        capacity.refuse_unmet(
            self.needs(deployment),
            [capacity_of(resources) for resources in workers.values()],
            lacking=f"No worker of the orchestrator '{self.name}' has what these steps need",
            remedy=f"Let them ask for less{'' if self.address is None else started}.",
        )

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor on the cluster."""
        from zenml.integrations.dask.orchestrators.dask_executor import DaskExecutor

        variables = "ZENML_" if self.spread < Reach.NETWORK else None
        runner = PackedRunner.of(run_step, variables)
        cluster = self.own_cluster() if self.address is None else None
        return DaskExecutor(self, deployment, stack.metadata_store, runner, cluster)

    def client(self, cluster: LocalCluster | None = None) -> Client:
        """A connection to the scheduler: of `cluster`, or that at the address.

        Raises:
            StackValidationError: there is none.
        """
        from distributed import Client

        try:
            return Client(cluster or self.address, set_as_default=False, timeout=_CONNECT)
        except (OSError, TimeoutError, ValueError) as error:
            raise StackValidationError(
                f"The Dask scheduler {self.address} of the orchestrator '{self.name}' does not answer: start it with `dask scheduler`, or "
                f"give the orchestrator another address."
            ) from error

    def own_cluster(self) -> LocalCluster:
        """A cluster for one run. Its worker is a part of this process: steps are executed in processes of their own anyway."""
        from distributed import LocalCluster

        return LocalCluster(
            n_workers=1,
            threads_per_worker=self.max_workers or max(1, int(capacity.cores())),
            processes=False,
            dashboard_address=":0",
            scheduler_kwargs={"dashboard": False},
            resources=_own_resources(),
            memory_limit=0,
        )

    def _workers_found(self) -> str:
        with closing(self.client()) as client:
            self._check_versions(client)
            count = len(workers_of(client))
        if not count and self.max_workers is None:
            raise StackValidationError(f"The scheduler {self.address} has no workers.")
        return f"{count} worker{'' if count == 1 else 's'}"

    def _check_versions(self, client: Client) -> None:
        from zenml.integrations.dask.orchestrators import dask_worker

        own = dask_worker.versions()
        for address, theirs in client.run(dask_worker.versions, on_error="return").items():
            if isinstance(theirs, BaseException):
                raise StackValidationError(
                    f"The Dask worker {address} cannot be used, since it cannot import what steps need: {type(theirs).__name__}: {theirs}. "
                    "Install there what is installed here, in the same versions."
                )
            if theirs != own:
                raise StackValidationError(
                    f"The Dask worker {address} has version {theirs[0]} of this framework on Python {theirs[1]}, but this is {own[0]} on "
                    f"Python {own[1]}: install the same ones there."
                )


def workers_of(client: Client) -> Mapping[str, Any]:
    workers: Mapping[str, Any] = client.scheduler_info()["workers"]
    return workers


def _own_resources() -> dict[str, float]:
    devices = {"GPU": len(found)} if (found := capacity.devices()) else {}
    return {"CPU": capacity.cores(), "MEMORY": capacity.memory(), **devices}


def capacity_of(*resources: Mapping[str, float]) -> Capacity:
    """What workers have together, by the names that Dask's documentation uses; any other name is a token."""
    there: dict[str, float] = {}
    for one in resources:
        for name, amount in one.items():
            there[name] = there.get(name, 0) + amount
    gpus = tuple(map(str, range(int(there.pop("GPU", 0)))))
    return Capacity(there.pop("CPU", 0), int(there.pop("MEMORY", 0)), gpus, there)
