"""Looking at what happened: pipelines, their runs, the runs' steps, and the values that these read and gave."""

from zenml.post_execution.artifact import ArtifactView
from zenml.post_execution.bundle import import_run
from zenml.post_execution.diff import ABSENT, Difference, RunDiff, diff
from zenml.post_execution.pipeline import PipelineRuns, PipelineView
from zenml.post_execution.run import PipelineRunView
from zenml.post_execution.step import StepView
from zenml.post_execution.stores import artifact_view, pipeline_of, pipelines_of, run_of, run_view

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
