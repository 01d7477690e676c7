"""What an orchestrator is: it decides where steps are executed. Their order, their cache and their state are the engine's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import StackComponentInterfaceError
from zenml.stack.executing import ExecutingComponent

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from zenml.model.deployment import Deployment
    from zenml.model.runs import StepOutcome, StepTask
    from zenml.orchestrators.exporter import Exporter
    from zenml.stack import Stack


class Executor(ABC):
    """Executes attempts of steps for one run.

    The engine's driver submits a task when everything that it waits for has ended and `has_room` for it, then waits; it calls every
    method from one thread. An attempt that was submitted is reported by `wait` exactly once, whatever happens to it. A context
    manager: leaving it ends what still runs.
    """

    keeps_timeouts: bool = False
    """Whether it ends attempts that take too long itself. Else the driver does, which counts from `submit` on."""

    @abstractmethod
    def has_room(self, task: StepTask) -> bool:
        """Whether the attempt can be executed now, beside those under way. With nothing under way, every attempt has room."""

    @abstractmethod
    def submit(self, task: StepTask) -> None:
        """Take an attempt. It may be executed before this returns."""

    @abstractmethod
    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """The attempts that have ended since the last call: at least one, unless `timeout` (seconds) runs out."""

    def cancel(self, task: StepTask) -> None:
        """End an attempt, within seconds and whatever its code does.

        It is reported by `wait` like any other: `cancelled`, and not recorded (`StepOutcome.is_recorded`), unless it ended just before.
        """

    def close(self) -> None:
        """End everything that still runs, and free what is held."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


StepRunner = Callable[["StepTask"], "StepOutcome"]
"""Runs one attempt in this process, with the engine's runner.

Records start and end, reads inputs, publishes outputs; never raises for a failing step.
"""


class BaseOrchestrator(ExecutingComponent):
    """Decides where steps are executed, by giving the engine an `Executor` for each run, or an `Exporter`.

    The smallest one runs each step in this process:

        class Here(BaseOrchestrator):
            FLAVOR: ClassVar[str] = "here"
            def executor(self, deployment, stack, run_step):
                return InProcessExecutor(run_step)
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.ORCHESTRATOR

    imports_steps: ClassVar[bool] = False
    """Whether steps are executed by processes that import them from the project's modules; else their code is sent to where they run."""

    @property
    def spread(self) -> Reach:
        """What the steps have in common with each other and the caller: every component of the stack must reach that far."""
        return Reach.PROCESS

    @property
    def takes_schedules(self) -> bool:
        """Whether pipelines can be registered to be run by a schedule: `zenml schedule run` then starts each run as a person would."""
        return True

    def executor(self, deployment: Deployment, stack: Stack, run_step: StepRunner) -> Executor:
        """An executor for the run of `deployment`. One of this and `exporter` is to be overridden.

        `run_step` executes an attempt in this process; executors elsewhere start `python -m zenml.engine.entrypoint`
        there, which needs the deployment alone.
        """
        raise StackComponentInterfaceError(
            f"The orchestrator class {type(self).__qualname__!r} must implement `executor`, or `exporter`."
        )

    def exporter(self, deployment: Deployment) -> Exporter | None:
        """An exporter for the run of `deployment`, for an engine that takes whole graphs and decides by itself what comes next."""
        return None


class InProcessExecutor(Executor):
    """Executes each attempt in this process, at once."""

    def __init__(self, run_step: StepRunner) -> None:
        self._run_step = run_step
        self._ended: list[StepOutcome] = []

    def has_room(self, task: StepTask) -> bool:
        """One at a time."""
        return not self._ended

    def submit(self, task: StepTask) -> None:
        """Execute the attempt."""
        self._ended.append(self._run_step(task))

    def wait(self, timeout: float | None = None) -> list[StepOutcome]:
        """What has ended."""
        ended, self._ended = self._ended, []
        return ended
