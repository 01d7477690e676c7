"""A look at a run."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.exceptions import DoesNotExistException, nearest
from zenml.model.deployment import Deployment
from zenml.post_execution.step import StepView
from zenml.post_execution.view import Stores, View, elapsed, moment

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from uuid import UUID

    from zenml.enums import ExecutionStatus
    from zenml.model.deployment import StepSpec
    from zenml.model.housekeeping import RunHistory
    from zenml.model.runs import ErrorRecord, RunRecord
    from zenml.post_execution.graph import RunGraph
    from zenml.post_execution.logs import StepLog
    from zenml.post_execution.pipeline import PipelineView


class PipelineRunView(View):
    """A run of a pipeline. While it has not ended, each look is at its present state."""

    def __init__(self, stores: Stores, record: RunRecord) -> None:
        super().__init__(stores, record.id)
        self._last = record
        self._ended_steps: dict[str, StepView] | None = None

    @property
    def _record(self) -> RunRecord:
        if not self._last.status.is_finished:
            self._last = self._stores.metadata.run(self._id)
        return self._last

    @property
    def uuid(self) -> UUID:
        """Identifies the run across metadata stores."""
        return self._last.uuid

    @property
    def name(self) -> str:
        """Name of the run."""
        return self._last.name

    @property
    def pipeline(self) -> PipelineView:
        """The pipeline that it is a run of."""
        from zenml.post_execution.stores import pipeline_of

        found = pipeline_of(self._stores.metadata, self._stores.artifacts, self._last.pipeline)
        assert found is not None  # noqa: S101 - a pipeline with a run is recorded
        return found

    @property
    def pipeline_name(self) -> str:
        """Name of the pipeline."""
        return self._last.pipeline

    @property
    def stack_name(self) -> str:
        """Name of the stack that it ran on."""
        return self._last.stack

    @property
    def status(self) -> ExecutionStatus:
        """What is known of it."""
        return self._record.status

    @property
    def error(self) -> ErrorRecord | None:
        """The exception of the first step that failed, or what ended the run itself."""
        return self._record.error

    @property
    def start_time(self) -> datetime:
        """When it was started, in UTC."""
        return moment(self._last.created)

    @property
    def end_time(self) -> datetime | None:
        """When it ended, in UTC; None while it has not."""
        return moment(self._record.ended)

    @property
    def duration(self) -> timedelta:
        """Time from its start to its end, or until now."""
        return elapsed(self.start_time, self.end_time)

    @property
    def zenml_version(self) -> str:
        """Version of the framework that ran it."""
        return self._last.zenml_version

    @property
    def git_sha(self) -> str | None:
        """The commit that the code was at; None outside of git, or with changes that were not committed."""
        return self._last.git_sha

    @property
    def runtime_configuration(self) -> Mapping[str, Any]:
        """The arguments that were given to `run`, as JSON data."""
        return self._last.runtime_configuration

    @cached_property
    def deployment(self) -> Deployment:
        """The compiled pipeline."""
        return Deployment.from_document(json.loads(self._stores.metadata.deployment(self._id)))

    @property
    def origin(self) -> PipelineRunView | None:
        """The earlier run that it was resumed or replayed from; None for others. Raises DoesNotExistException if that was deleted."""
        origin = self._last.origin
        return (
            None
            if origin is None
            else PipelineRunView(self._stores, self._stores.metadata.run(origin.run_id))
        )

    @property
    def origin_kind(self) -> str | None:
        """How it goes on from `origin`: "resume" or "replay"."""
        return None if self._last.origin is None else self._last.origin.kind

    @property
    def is_cancel_requested(self) -> bool:
        """Whether somebody asked for its end."""
        return self._record.cancel_requested is not None

    def spec(self, step: str) -> StepSpec:
        """What was compiled for the step of that name. Raises KeyError."""
        return self._specs[step]

    @cached_property
    def _specs(self) -> dict[str, StepSpec]:
        return {spec.name: spec for spec in self.deployment.steps}

    def producers(self, steps: Iterable[str]) -> set[int]:
        """The ids of these steps of the run, and of their instances."""
        views, found = self._steps(), set()
        for name in steps:
            found.add(views[name].id)
            if self.spec(name).is_mapped:
                found.update(record.id for record in self._stores.metadata.instances(self._id, name))
        return found

    @property
    def graph(self) -> RunGraph:
        """Its steps and artifacts, and what came from what, as they are now."""
        from zenml.post_execution.graph import graph_of

        return graph_of(self.deployment, self.history, now=time.time())

    def draw(self, path: str | os.PathLike[str]) -> Path:
        """Draw the graph to the file `path`: `.svg`, `.html` (a page to look around in, without scripts from outside) or `.png`.

        Gives the file.

        Raises:
            ConfigurationError: its name ends otherwise.
            MissingPackageError: the library that draws `.png` is not installed.
        """
        from zenml.post_execution.page import draw

        return draw(self.graph, Path(path))

    @property
    def steps(self) -> list[StepView]:
        """Its steps, in the order in which they run; a mapped one counts as one."""
        return list(self._steps().values())

    def _steps(self) -> dict[str, StepView]:
        if self._ended_steps is not None:
            return self._ended_steps
        ended = self._record.status.is_finished
        records = self._stores.metadata.steps(self._id)
        steps = {record.name: StepView(self._stores, record, self) for record in records}
        if ended:
            self._ended_steps = steps
        return steps

    def logs(self, step: str | None = None, *, attempt: int | None = None) -> Iterator[StepLog]:
        """The logs of its steps, in their order, or of one: "train", with all instances if it is mapped, or "train[3]".

        `attempt` is the number of one; without it, the last. Raises DoesNotExistException.
        """
        from zenml.post_execution.logs import log_of, logged_steps

        for record in logged_steps(self._stores, self._id, step):
            yield log_of(self._stores, record, attempt)

    @property
    def history(self) -> RunHistory:
        """All that is recorded of it, read at once."""
        return self._stores.metadata.history(self._id)

    def export(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write it to the file `path`, with its plan, logs and values: `import_run` reads it elsewhere. Gives the file.

        Raises:
            InUseError: it has not ended.
            FileExistsError: there is something at `path`, and it may not be overwritten.
            ArtifactGoneError, ArtifactCorruptedError: a value cannot be read.
        """
        from zenml.post_execution.bundle import export_run

        return export_run(self._stores, self._record, path, overwrite=overwrite)

    def get_step_names(self) -> list[str]:
        """The names of its steps, in the order in which they run."""
        return [step.name for step in self.steps]

    def get_step(self, name: str) -> StepView:
        """The step of that name in the pipeline. Raises DoesNotExistException, a KeyError."""
        steps = self._steps()
        if name not in steps:
            raise DoesNotExistException(f"The run '{self.name}' has no step '{name}'.{nearest(name, steps)}")
        return steps[name]

    def _repr_html_(self) -> str:
        from zenml.post_execution.notebook import run_html

        return run_html(self)

    def __repr__(self) -> str:
        return f"PipelineRunView(id={self.id}, name={self.name!r}, status={self.status.value!r})"
