"""A look at a pipeline, and at the sequence of its runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from zenml.exceptions import DoesNotExistException, nearest
from zenml.post_execution.run import PipelineRunView
from zenml.post_execution.view import Stores, View

if TYPE_CHECKING:
    from zenml.model.runs import PipelineRecord, RunRecord

_PAGE = 200


class PipelineView(View):
    """A pipeline that has runs."""

    def __init__(self, stores: Stores, record: PipelineRecord) -> None:
        super().__init__(stores, record.id)
        self._name = record.name

    @property
    def name(self) -> str:
        """Name of the pipeline."""
        return self._name

    @property
    def runs(self) -> PipelineRuns:
        """Its runs, oldest first."""
        return PipelineRuns(self._stores, self._id)

    def get_run_names(self) -> list[str]:
        """The names of its runs, oldest first."""
        return [run.name for run in self.runs]

    def get_run(self, name: str) -> PipelineRunView:
        """The run of that name. Raises DoesNotExistException, a KeyError."""
        record = self._stores.metadata.run_by_name(name)
        if record is not None and record.pipeline == self._name:
            return PipelineRunView(self._stores, record)
        recent = [run.name for run in self.runs[-_PAGE:]]
        raise DoesNotExistException(
            f"The pipeline '{self._name}' has no run '{name}'.{nearest(name, recent)}"
        )

    def get_run_for_completed_step(self, step_name: str) -> PipelineRunView:
        """The newest run in which the step of that name really ran, to its end. Raises DoesNotExistException, a LookupError."""
        names: set[str] = set()
        for run in reversed(self.runs):
            for step in run.steps:
                names.add(step.name)
                if step.name == step_name and step.is_completed:
                    return run
        if step_name in names:
            raise DoesNotExistException(f"The step '{step_name}' has completed in no run of '{self._name}'.")
        raise DoesNotExistException(
            f"The pipeline '{self._name}' has no step '{step_name}'.{nearest(step_name, names)}"
        )

    def _repr_html_(self) -> str:
        from zenml.post_execution.notebook import pipeline_html

        return pipeline_html(self)

    def __repr__(self) -> str:
        return f"PipelineView(id={self.id}, name={self.name!r})"


class PipelineRuns(Sequence[PipelineRunView]):
    """The runs of a pipeline, oldest first: read from the metadata store when they are asked for, and only those."""

    def __init__(self, stores: Stores, pipeline_id: int) -> None:
        self._stores = stores
        self._pipeline_id = pipeline_id

    def __len__(self) -> int:
        return self._stores.metadata.count_runs(self._pipeline_id)

    @overload
    def __getitem__(self, index: int) -> PipelineRunView: ...
    @overload
    def __getitem__(self, index: slice) -> list[PipelineRunView]: ...
    def __getitem__(self, index: int | slice) -> PipelineRunView | list[PipelineRunView]:
        if isinstance(index, slice):
            return self._views(self._slice(index))
        found = self._newest(~index, 1) if index < 0 else self._oldest(index, 1)
        if not found:
            raise IndexError(f"There is no run at {index}: the pipeline has {len(self)}.")
        return self._views(found)[0]

    def __iter__(self) -> Iterator[PipelineRunView]:
        return self._pages(newest_first=False)

    def __reversed__(self) -> Iterator[PipelineRunView]:
        return self._pages(newest_first=True)

    def _slice(self, wanted: slice) -> list[RunRecord]:
        wanted.indices(0)  # refuses what a list refuses
        start, stop, step = wanted.start or 0, wanted.stop, wanted.step or 1
        if step < 0 or (start < 0 and stop is not None and stop >= 0):
            return self._oldest(0, None)[wanted]
        if start < 0:
            last = -(stop or 0)
            return self._newest(last, max(-start - last, 0))[::-1][::step]
        if stop is None or stop < 0:
            return self._oldest(start, None)[:stop:step]
        return self._oldest(start, max(stop - start, 0))[::step]

    def _oldest(self, offset: int, limit: int | None) -> list[RunRecord]:
        return self._stores.metadata.runs(self._pipeline_id, offset=offset, limit=limit)

    def _newest(self, offset: int, limit: int) -> list[RunRecord]:
        return self._stores.metadata.runs(self._pipeline_id, offset=offset, limit=limit, newest_first=True)

    def _pages(self, *, newest_first: bool) -> Iterator[PipelineRunView]:
        # Runs that begin meanwhile shift the pages when the newest come first: none is given twice.
        seen: int | None = None
        offset = 0
        while True:
            page = self._stores.metadata.runs(
                self._pipeline_id, offset=offset, limit=_PAGE, newest_first=newest_first
            )
            fresh = [r for r in page if seen is None or (r.id < seen if newest_first else r.id > seen)]
            yield from self._views(fresh)
            if len(page) < _PAGE:
                return
            seen = page[-1].id
            offset += _PAGE

    def _views(self, records: list[RunRecord]) -> list[PipelineRunView]:
        return [PipelineRunView(self._stores, record) for record in records]

    def __repr__(self) -> str:
        return f"<{len(self)} runs>"
