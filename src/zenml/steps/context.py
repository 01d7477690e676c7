"""What a step can know about where it runs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, get_origin

from zenml.context import running_step
from zenml.environment import Environment
from zenml.exceptions import StepContextError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zenml.artifacts import BaseArtifact
    from zenml.context import RunningStep
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.stack import Stack

STEP_ENVIRONMENT_NAME = "step_environment"


class StepContext:
    """Where a step runs: annotate an argument of the step with this class to get it.

    A step that takes it is not cached unless it says `@step(enable_cache=True)`: its result may depend on what the context gives.
    """

    def __init__(self, outputs: Mapping[str, Any] | None = None) -> None:
        """`outputs` are the declared types of the step's outputs. Raises StepContextError outside of a running step."""
        step = running_step()
        if step is None:
            raise StepContextError("There is a step context inside of a running step only.")
        self._step = step
        self._types = dict(outputs or {})

    @property
    def step_name(self) -> str:
        """Name of the step in its pipeline."""
        return self._step.step_name

    @property
    def scheduled_time(self) -> datetime | None:
        """The time for which a schedule has started this run, in UTC: it lies before the real one. None where no schedule did."""
        scheduled = self._step.deployment.runtime_configuration.get("schedule")
        return None if scheduled is None else datetime.fromisoformat(scheduled["time"])

    @property
    def stack(self) -> Stack:
        """The stack that the step runs on."""
        stack: Stack = self._step.stack
        return stack

    @property
    def metadata_store(self) -> BaseMetadataStore:
        """The stack's metadata store."""
        return self.stack.metadata_store

    def get_output_artifact_uri(self, output_name: str | None = None) -> str:
        """Where the files of an output will lie: of the only one, or of the one of that name. Raises StepContextError."""
        return self._step.output_uris[self._output(output_name)]

    def get_output_materializer(
        self, output_name: str | None = None, custom_materializer_class: Any = None
    ) -> Any:
        """A materializer at the place of an output: of the given class, else the step's choice, else the one for its declared type.

        Raises:
            StepContextError: there is no such output, or it is declared as something that is no class.
        """
        from zenml.materializers.classes import class_at
        from zenml.materializers.registry import find_materializer

        name = self._output(output_name)
        spec = next(o for o in self._step.deployment.step(self.step_name).outputs if o.name == name)
        declared = self._types.get(name)
        declared = get_origin(declared) or declared
        if custom_materializer_class is not None:
            class_ = custom_materializer_class
        elif spec.materializers:
            class_ = class_at(spec.materializers[0])
        elif isinstance(declared, type):
            class_ = find_materializer(declared)
        else:
            raise StepContextError(
                f"The materializer of the output {name!r} of the step '{self.step_name}' is chosen by its value: give a class, "
                "or choose one with `with_return_materializers`."
            )
        return class_(_artifact(class_, self._step.output_uris[name]))

    def _output(self, name: str | None) -> str:
        names = list(self._step.output_uris)
        if name is None and len(names) == 1:
            return names[0]
        if name is None:
            raise StepContextError(f"The step '{self.step_name}' has {len(names)} outputs: say which one.")
        if name not in names:
            raise StepContextError(
                f"The step '{self.step_name}' has no output {name!r}.{nearest(name, names)}"
            )
        return name


class StepEnvironment:
    """The running step's names, for whoever asks by `Environment().step_environment`."""

    def __new__(cls) -> RunningStep:  # type: ignore[misc]  # an older way to say the same
        """The running step. Raises KeyError outside of one."""
        return Environment().step_environment


def _artifact(materializer: Any, uri: str) -> BaseArtifact:
    from zenml.artifacts import BaseArtifact as Base

    return next(iter(materializer.ASSOCIATED_ARTIFACT_TYPES), Base)(uri)
