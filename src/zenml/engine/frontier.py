"""Which steps of a deployment can go on: a look at the graph alone, without input or output."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from zenml.engine.observer import ended

if TYPE_CHECKING:
    from zenml.enums import ExecutionStatus
    from zenml.model.deployment import Deployment, StepSpec


class Frontier:
    """Keeps which steps are open, and which of them wait for nothing any more. Every step ends once: it ends, fails, or is left out."""

    def __init__(self, deployment: Deployment) -> None:
        self._specs: dict[str, StepSpec] = {step.name: step for step in deployment.steps}
        self._waits_for = {step.name: len(set(step.upstream)) for step in deployment.steps}
        self._dependants: dict[str, list[str]] = {step.name: [] for step in deployment.steps}
        for step in deployment.steps:
            for upstream in dict.fromkeys(step.upstream):
                self._dependants[upstream].append(step.name)
        self._open = set(self._specs)

    @property
    def first(self) -> list[str]:
        """The steps that wait for nothing."""
        return [name for name, number in self._waits_for.items() if not number]

    @property
    def open(self) -> list[str]:
        """The steps that have not ended, in the order of the deployment."""
        return [name for name in self._specs if name in self._open]

    def end(self, name: str) -> list[str]:
        """The step has ended well; gives those that can go on now."""
        self._open.discard(name)
        ready = []
        for dependant in self._dependants[name]:
            self._waits_for[dependant] -= 1
            if not self._waits_for[dependant] and dependant in self._open:
                ready.append(dependant)
        return ready

    def fail(self, name: str, status: ExecutionStatus) -> dict[str, str]:
        """The step has not ended well; gives those that cannot be executed any more, with the reasons."""
        self._open.discard(name)
        return self._skip(
            name, f"it needs the step '{name}', which {ended(status)}", self._dependants.__getitem__
        )

    def leave_out(self, name: str) -> tuple[dict[str, str], list[str]]:
        """The step's condition does not hold; gives those that read its outputs, which are left out as well, and those that can go on.

        A step that only comes after one that is left out is executed.
        """
        self._open.discard(name)
        skipped = self._skip(name, f"it needs the step '{name}', which was skipped", self._readers)
        return skipped, [ready for one in (*skipped, name) for ready in self.end(one)]

    def _readers(self, name: str) -> Iterator[str]:
        for dependant in self._dependants[name]:
            spec = self._specs[dependant]
            sources = [source.step for source in spec.inputs.values()]
            if name in sources or (spec.when is not None and spec.when.step == name):
                yield dependant

    def _skip(self, name: str, reason: str, followers: Callable[[str], Iterable[str]]) -> dict[str, str]:
        skipped: dict[str, str] = {}
        queue = [(name, reason)]
        while queue:
            upstream, why = queue.pop()
            for dependant in followers(upstream):
                if dependant in self._open:
                    self._open.discard(dependant)
                    skipped[dependant] = why
                    queue.append(
                        (dependant, f"it needs the step '{dependant}', which was skipped because of '{name}'")
                    )
        return skipped
