"""What an engine does that takes a run as a whole: as a graph of nodes, at once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenml.exceptions import StackValidationError

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from zenml.jobs import JobStatus
    from zenml.model.deployment import Deployment, StepSpec
    from zenml.orchestrators.base_orchestrator import BaseOrchestrator


@dataclass(frozen=True)
class Node:
    """A step that is left to the engine, and those of them that it waits for. `again` says that no earlier result counts."""

    step: StepSpec
    upstream: tuple[str, ...]
    again: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """What the process of this node is told besides what all of the run are told."""
        return ("--step", self.step.name, *(("--again",) if self.again else ()))


@dataclass(frozen=True)
class Graph:
    """What is left of a registered run when the results that are known are taken.

    A node is the process `python -m zenml.engine.node --deployment URL --stack WORD --run-id N --step NAME`. It ends with 0 if its step
    was completed, taken from the cache, or left out by a condition: then those behind it are started, which say by themselves whether
    there is something to do. It ends with something else if the step has failed: nothing behind it need be started, and all else goes
    on. With `--end` in place of a step, it ends the run: an engine that nobody waits for starts that when everything has ended, however.
    """

    deployment: Deployment
    run_id: int
    nodes: tuple[Node, ...]
    url: str
    """Where the deployment lies."""
    stack: str
    """What is needed to read it, as a word without secrets."""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What every process of the run is told, behind "python"."""
        run = ("--deployment", self.url, "--stack", self.stack, "--run-id", str(self.run_id))
        return ("-m", "zenml.engine.node", *run)


class Exporter(ABC):
    """Gives one run to an engine, and says how it is there.

    The engine's driver calls every method from one thread, `submit` first and once. Each of them raises EngineUnreachableError when the
    engine does not answer. A context manager: leaving it frees what is held, and leaves the run alone.
    """

    is_synchronous: bool = True
    """Whether the end of the run is waited for. Else the engine has to start the end node."""

    @abstractmethod
    def submit(self, graph: Graph) -> None:
        """Give the run to the engine.

        Raises:
            RunError: the engine refuses it; the message says why, and what to do.
        """

    @abstractmethod
    def status(self) -> JobStatus:
        """How the run is, as a whole."""

    @abstractmethod
    def cancel(self) -> None:
        """Let no more nodes start, and ask for the end of those that run."""

    def close(self) -> None:
        """Free what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def refuse_mapped_steps(deployment: Deployment, orchestrator: BaseOrchestrator, reason: str) -> None:
    """Raises StackValidationError if a step has an instance for each item of a list: how many nodes that is, only the run knows."""
    if mapped := [f"'{step.name}'" for step in deployment.steps if step.is_mapped]:
        raise StackValidationError(
            f"The orchestrator '{orchestrator.name}' of flavor '{orchestrator.FLAVOR}' cannot execute mapped steps, since {reason}: "
            f"{', '.join(mapped)}. Loop over the items inside of a step, or use another orchestrator."
        )
