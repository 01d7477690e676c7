"""What orchestrator and step operator have in common: which cluster, what is sent there, and whether that works."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from zenml.config.global_config import GlobalConfiguration
from zenml.enums import Reach
from zenml.environment import is_this_machine
from zenml.exceptions import StackValidationError
from zenml.integrations.ray import tasks
from zenml.integrations.ray.driver import ClusterGoneError, Node, Target, give_back, take
from zenml.integrations.ray.head import RayHead
from zenml.model.deployment import ResourceSpec
from zenml.stack import capacity
from zenml.stack.capacity import Capacity, refuse_unmet
from zenml.stack.checks import Check, tried
from zenml.stack.executing import ExecutingComponent

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.integrations.ray.driver import Driver
    from zenml.model.deployment import Deployment

_VERSIONS = 30.0
"""Seconds within which the nodes of a cluster say what they have installed."""

_INSTALL = 900.0
"""The same, where requirements are installed before."""

_LOSSES = 3
"""How many nodes a step may lose."""


class RayCluster(ExecutingComponent):
    """A cluster, and what is sent there.

    Args:
        address: that of a running cluster: "ray://10.0.0.5:10001", the port for clients, from any machine, or "10.0.0.5:6379" from one
            that belongs to the cluster. Without it, each run starts a cluster on this machine for itself.
        shared: without an address, runs share a cluster on this machine, which `zenml stack up` starts and `zenml stack down` ends.
        install: let Ray install the requirements of pipelines where steps are executed, by "pip" or "uv"; by default, they are there.
        grows: whether the cluster adds nodes when something waits for them; then what fits on no node of now is not refused.
        grace_seconds: how long the code of a cancelled step may clean up before its process is killed.
    """

    address: str | None = None
    shared: bool = False
    install: Literal["pip", "uv"] | None = None
    grows: bool = False
    grace_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 5.0

    @field_validator("address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value if "://" in value else f"//{value}")
            is_whole = bool(parts.hostname and parts.port) and parts.scheme in ("", "ray")
        except ValueError:
            is_whole = False
        if not is_whole:
            raise ValueError(
                f"{value!r} is no address of a cluster: expected one as ray://10.0.0.5:10001 or 10.0.0.5:6379"
            )
        return value

    @model_validator(mode="after")
    def _check_shared(self) -> Self:
        if self.shared and self.address is not None:
            raise ValueError("a cluster with an address is not started from here: leave out `shared`")
        return self

    @property
    def spread(self) -> Reach:
        """Processes of this machine, or of those of the cluster."""
        if self.address is None:
            return Reach.HOST
        parts = urlsplit(self.address if "://" in self.address else f"//{self.address}")
        return Reach.HOST if is_this_machine(parts.hostname) else Reach.NETWORK

    @property
    def local_path(self) -> str | None:
        """Where the files of a cluster lie that runs share."""
        if not self.shared:
            return None
        return str(GlobalConfiguration().config_directory / "local_stores" / str(self.uuid))

    @property
    def is_provisioned(self) -> bool:
        """Whether a shared cluster was made."""
        return not self.shared or RayHead.is_in(self._folder)

    @property
    def is_running(self) -> bool:
        """Whether a shared cluster runs."""
        return not self.shared or (self.is_provisioned and RayHead.load(self._folder).address is not None)

    def provision(self) -> None:
        """Start the shared cluster."""
        RayHead.at(self._folder, cpus=self._own_cpus()).bring_up()

    def resume(self) -> None:
        """Start the shared cluster again."""
        self.provision()

    def suspend(self) -> None:
        """End the shared cluster."""
        if self.shared and RayHead.is_in(self._folder):
            RayHead.load(self._folder).bring_down()

    def deprovision(self) -> None:
        """End the shared cluster, and remove what it has left."""
        import shutil

        self.suspend()
        if self.shared:
            shutil.rmtree(self._folder, ignore_errors=True)

    def check(self) -> Iterator[Check]:
        """Whether the cluster takes tasks, and its nodes understand this process."""
        yield from super().check()
        if self.address is not None or (self.shared and self.is_running):
            yield tried("nodes", self._nodes_found, "Start the cluster with `ray start --head`.")

    def target(self, requirements: Sequence[str] = ()) -> Target:
        """What to connect to for a run with these requirements.

        Raises:
            StackValidationError: a shared cluster does not run.
        """
        options: dict[str, Any] = {}
        if self.install and requirements:
            options["runtime_env"] = {self.install: list(requirements)}
        if self.address is not None:
            return Target(self.address, options)
        if not self.shared:
            return Target(None, {**own_cluster(self._own_cpus()), **options})
        if (address := RayHead.load(self._folder).address if self.is_provisioned else None) is None:
            raise StackValidationError(
                f"The cluster of the {self.TYPE.display} '{self.name}' does not run: start it with `zenml stack up`."
            )
        return Target(address, options, RayHead.load(self._folder).token)

    def connect(self, requirements: Sequence[str] = ()) -> Driver:
        """A connection, to be given back.

        Raises:
            StackValidationError: the cluster does not answer, or a node of it does not understand this process.
        """
        driver = take(self.target(requirements))
        try:
            self._check_versions(driver)
        except BaseException:
            driver.close()
            raise
        return driver

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the cluster takes tasks, and for each step has a node with what it needs."""
        if self.address is None and not self.shared:
            nodes = [self._own_node()]
        else:
            driver = self.connect()
            nodes = list(driver.nodes)
            give_back(driver)
        if self.grows:
            return
        started = (
            ", or say what nodes have when they are started: `ray start ... --num-cpus=8 --num-gpus=1 --resources='{\"license\": 1}'`. If "
            "the cluster adds nodes by itself, set the field grows"
        )
        refuse_unmet(
            {step.name: counted(step.resources) for step in self.own_steps(deployment)},
            [node_capacity(one.resources) for one in nodes],
            lacking=f"No node of the {self.TYPE.display} '{self.name}' has what these steps need",
            remedy=f"Let them ask for less{'' if self.address is None else started}.",
        )

    def _own_cpus(self) -> int:
        """How many cores a cluster has that is started from here."""
        return max(1, int(capacity.cores()))

    def _own_node(self) -> Node:
        """What a cluster has that is started from here."""
        devices = {"GPU": len(found)} if (found := capacity.devices()) else {}
        return Node("", "", {"CPU": self._own_cpus(), "memory": capacity.memory(), **devices})

    @property
    def _folder(self) -> str:
        assert self.local_path is not None  # noqa: S101 - asked for shared clusters
        return self.local_path

    def _nodes_found(self) -> str:
        driver = self.connect()
        nodes = driver.nodes
        give_back(driver)
        cpus = sum(node.resources.get("CPU", 0) for node in nodes)
        return f"{len(nodes)} node{'' if len(nodes) == 1 else 's'}, {cpus:g} CPU{'' if cpus == 1 else 's'}"

    def _check_versions(self, driver: Driver) -> None:
        """See that nodes which were not asked yet have what this process has."""
        new = {node.id: node for node in driver.nodes if node.id not in driver.known}
        for id_ in new:
            driver.start(id_, "versions", (), {"num_cpus": 0, "node": id_, "max_retries": 0})
        own = tasks.versions()
        patience = _INSTALL if driver.target.options else _VERSIONS
        while new:
            try:
                ended = driver.wait(patience)
            except ClusterGoneError as error:
                raise StackValidationError(str(error)) from None
            if not ended:
                names = ", ".join(node.address for node in new.values())
                raise StackValidationError(
                    f"These nodes of the Ray cluster start no process within {patience:g} seconds: {names}. Look at their logs."
                )
            for one in ended:
                node = new.pop(one.key)
                if one.error == "lost":
                    continue  # it is gone, and counts no more
                if one.error == "unprepared":
                    raise StackValidationError(
                        f"The Ray node {node.address} cannot install the requirements of the pipeline: {one.reason}"
                    )
                if one.error:
                    raise StackValidationError(
                        f"The Ray node {node.address} cannot be used, since it cannot import what steps need: {one.reason}. Install there "
                        "what is installed here, in the same versions."
                    )
                if one.value != own:
                    raise StackValidationError(
                        f"The Ray node {node.address} has version {one.value[0]} of this framework on Python {one.value[1]}, but this is "
                        f"{own[0]} on Python {own[1]}: install the same ones there."
                    )
                driver.known.add(node.id)


def own_cluster(cpus: int) -> dict[str, Any]:
    """What `ray.init` is told of a cluster that is started from here. Values of steps do not go through its memory."""
    return {"num_cpus": cpus, "include_dashboard": False, "object_store_memory": 100 << 20}


def node_capacity(resources: Mapping[str, float]) -> Capacity:
    """What a node, or several together, has, of what Ray says about it; names of the user's are tokens."""
    tokens = dict(resources)
    gpus = tuple(map(str, range(int(tokens.pop("GPU", 0)))))
    return Capacity(tokens.pop("CPU", 0), int(tokens.pop("memory", 0)), gpus, tokens)


def together(nodes: Sequence[Node]) -> dict[str, float]:
    """What nodes have in sum."""
    there: dict[str, float] = {}
    for node in nodes:
        for name, amount in node.resources.items():
            there[name] = there.get(name, 0) + amount
    return there


def counted(need: ResourceSpec | None) -> ResourceSpec:
    """What Ray counts for a step: one core, unless it says something else."""
    if need is None:
        return ResourceSpec(cpu=1)
    return replace(need, cpu=1) if need.cpu is None else need


def task_options(need: ResourceSpec | None) -> dict[str, Any]:
    """What a step needs, as options of a task."""
    need = counted(need)
    options: dict[str, Any] = {"num_cpus": need.cpu, "resources": dict(need.custom)}
    if need.memory:
        options["memory"] = need.memory
    if need.gpu:
        options["num_gpus"] = need.gpu
    return options
