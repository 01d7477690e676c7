"""A look at a step of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException, nearest
from zenml.post_execution.artifact import ArtifactView
from zenml.post_execution.view import Stores, View, elapsed, moment

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from zenml.model.runs import ArtifactRecord, AttemptRecord, ErrorRecord, MetricRecord, StepRunRecord
    from zenml.post_execution.run import PipelineRunView


class StepView(View):
    """A step of a run, or one instance of a mapped one. While it has not ended, each look is at its present state."""

    def __init__(self, stores: Stores, record: StepRunRecord, run: PipelineRunView | None = None) -> None:
        super().__init__(stores, record.id)
        self._last = record
        self._run = run

    @property
    def _record(self) -> StepRunRecord:
        if not self._last.status.is_finished:
            self._last = self._stores.metadata.step(self._id)
        return self._last

    @property
    def name(self) -> str:
        """Name of the step in its pipeline."""
        return self._last.name

    @property
    def label(self) -> str:
        """What people call it: its name, with the index of an instance: "train[3]"."""
        return self.name if self.map_index < 0 else f"{self.name}[{self.map_index}]"

    @property
    def map_index(self) -> int:
        """Position of an instance within its mapped step; -1 for all other steps, the mapped one itself included."""
        return self._last.map_index

    @property
    def is_mapped(self) -> bool:
        """Whether it has an instance for each item of a list; False for an instance."""
        return self.map_index < 0 and self.run.spec(self.name).is_mapped

    @property
    def instances(self) -> list[StepView]:
        """The instances of a mapped step, by their index: none before it was spread over its items, nor for other steps."""
        if not self.is_mapped:
            return []
        records = self._stores.metadata.instances(self._last.run_id, self.name)
        return [StepView(self._stores, record, self.run) for record in records]

    @property
    def entrypoint_name(self) -> str:
        """Name of the function or class that the step was made from."""
        return self._last.entrypoint_name

    @property
    def docstring(self) -> str | None:
        """The docstring of that function or class."""
        return self._last.docstring

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The parameters, in the order of their declaration, as JSON data."""
        return self._last.parameters

    @property
    def status(self) -> ExecutionStatus:
        """What is known of it."""
        return self._record.status

    @property
    def is_cached(self) -> bool:
        """Whether its outputs were taken from an earlier run."""
        return self.status is ExecutionStatus.CACHED

    @property
    def is_completed(self) -> bool:
        """Whether it really ran, to its end: False for a cached one."""
        return self.status is ExecutionStatus.COMPLETED

    @property
    def error(self) -> ErrorRecord | None:
        """The exception that ended it: type, message, traceback."""
        return self._record.error

    @property
    def reason(self) -> str | None:
        """Why it was skipped; why one that ran was not taken from the cache, where its key alone does not tell."""
        return self._record.reason

    @property
    def attempts(self) -> int:
        """How often it was started: 0 for a cached or skipped one."""
        return self._record.attempts

    @property
    def attempt_records(self) -> list[AttemptRecord]:
        """Each time that it was started, in order: status, times (seconds since the epoch), and the error of those that failed."""
        return self._stores.metadata.attempts(self._id)

    @property
    def start_time(self) -> datetime | None:
        """When it was started for the first time, in UTC; None if it never was."""
        return moment(self._record.started)

    @property
    def end_time(self) -> datetime | None:
        """When it ended, in UTC; None while it has not."""
        return moment(self._record.ended)

    @property
    def duration(self) -> timedelta | None:
        """Time from its start to its end, or until now; None if it was never started."""
        start = self.start_time
        return None if start is None else elapsed(start, self.end_time)

    @property
    def cache_key(self) -> str | None:
        """The key under which its result is found again; None before it was started."""
        return self._record.cache_key

    @property
    def key_parts(self) -> Mapping[str, str]:
        """What that key was made from, by name: the digests of code, parameters, inputs and declared outputs."""
        return self._record.key_parts

    @property
    def previous(self) -> StepView | None:
        """The same step in the last earlier run of the pipeline in which it got as far as having a key."""
        record = self._stores.metadata.previous_step(self._id)
        return None if record is None else StepView(self._stores, record)

    @property
    def run(self) -> PipelineRunView:
        """The run that it is a step of."""
        from zenml.post_execution.run import PipelineRunView

        if self._run is None:
            self._run = PipelineRunView(self._stores, self._stores.metadata.run(self._last.run_id))
        return self._run

    @property
    def source_step(self) -> StepView:
        """The step that really ran: for a cached one that of an earlier run, else this one."""
        source = self._record.source
        return self if source is None else StepView(self._stores, self._stores.metadata.step(source))

    @property
    def parent_steps(self) -> list[StepView]:
        """The steps of the run that had to end before this one started, in the order of the run."""
        waits_for = self.run.spec(self.name).upstream
        return [step for step in self.run.steps if step.name in waits_for]

    @property
    def parents_step_ids(self) -> list[int]:
        """The ids of `parent_steps`."""
        return [step.id for step in self.parent_steps]

    @property
    def logs(self) -> str | None:
        """What its last attempt has printed and logged, so far; of a cached one, what the step that really ran has. None if nothing."""
        from zenml.post_execution.logs import log_of

        return log_of(self._stores, self._record).text()

    @property
    def inputs(self) -> dict[str, ArtifactView]:
        """What it read, by input name, in the order of declaration.

        An input that collects the outputs of a mapped step is called "name[0]", "name[1]" ...
        """
        records = self._stores.metadata.inputs(self._id)
        own = self.run.producers({self.name, *self.run.spec(self.name).upstream})
        return {
            name: ArtifactView(self._stores, record, is_cached=record.producer not in own)
            for name, record in records.items()
        }

    @property
    def outputs(self) -> dict[str, ArtifactView]:
        """What it gave, by output name, in the order of declaration.

        Of a mapped step, what its instances gave, by output and index: "output[0]", "output[1]" ...
        """
        if self.is_mapped:
            given = [(instance.map_index, instance.outputs) for instance in self.instances]
            names = dict.fromkeys(name for _, outputs in given for name in outputs)
            return {
                f"{name}[{index}]": outputs[name]
                for name in names
                for index, outputs in given
                if name in outputs
            }
        records: dict[str, ArtifactRecord] = self._stores.metadata.outputs(self._id)
        return {
            name: ArtifactView(self._stores, record, is_cached=record.producer != self._id)
            for name, record in records.items()
        }

    @property
    def input(self) -> ArtifactView:
        """The only input. Raises ValueError if there is none, or more than one."""
        return self._only("input", self.inputs)

    @property
    def output(self) -> ArtifactView:
        """The only output. Raises ValueError if there is none, or more than one."""
        return self._only("output", self.outputs)

    @property
    def metrics(self) -> dict[str, float]:
        """The last value of each number that it logged, in the order of their first recording."""
        return {metric.name: metric.value for metric in self._stores.metadata.metrics(self._id)}

    def get_metric(self, name: str) -> list[MetricRecord]:
        """All values of a number that it logged. Raises DoesNotExistException."""
        metrics = self._stores.metadata.metrics(self._id)
        found = [metric for metric in metrics if metric.name == name]
        if not found:
            hint = nearest(name, {metric.name for metric in metrics})
            raise DoesNotExistException(f"The step '{self.label}' has logged no metric '{name}'.{hint}")
        return found

    @property
    def logged_parameters(self) -> dict[str, str]:
        """The parameters that it logged by itself, as text."""
        return self._stores.metadata.logged_parameters(self._id)

    def _only(self, what: str, artifacts: dict[str, ArtifactView]) -> ArtifactView:
        if len(artifacts) != 1:
            names = ", ".join(f"'{name}'" for name in artifacts)
            has = (
                f"{len(artifacts)} {what}s ({names}): use"
                if artifacts
                else f"no {what} that is recorded; see"
            )
            raise ValueError(f"The step '{self.label}' ({self.status}) has {has} `.{what}s`.")
        return next(iter(artifacts.values()))

    def _repr_html_(self) -> str:
        from zenml.post_execution.notebook import step_html

        return step_html(self)

    def __repr__(self) -> str:
        return f"StepView(id={self.id}, name={self.label!r}, status={self.status.value!r})"
