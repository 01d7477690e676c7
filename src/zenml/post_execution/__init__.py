"""Looking at what happened: pipelines, their runs, the runs' steps, and the values that these read and gave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zenml.post_execution.artifact import ArtifactView
from zenml.post_execution.diff import ABSENT, Difference, RunDiff, diff
from zenml.post_execution.pipeline import PipelineRuns, PipelineView
from zenml.post_execution.run import PipelineRunView
from zenml.post_execution.step import StepView
from zenml.post_execution.stores import artifact_view, pipeline_of, pipelines_of, run_of, run_view

if TYPE_CHECKING:
    from zenml.post_execution.bundle import import_run

__all__ = [
    "ABSENT",
    "ArtifactView",
    "Difference",
    "PipelineRunView",
    "PipelineRuns",
    "PipelineView",
    "RunDiff",
    "StepView",
    "artifact_view",
    "diff",
    "import_run",
    "pipeline_of",
    "pipelines_of",
    "run_of",
    "run_view",
]


def __getattr__(name: str) -> object:
    # What checks files of strangers takes longer to import than all the rest.
    if name == "import_run":
        from zenml.post_execution.bundle import import_run

        return import_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
