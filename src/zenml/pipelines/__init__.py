"""Pipelines: steps, joined."""

from zenml.pipelines.base_pipeline import BasePipeline, pipeline
from zenml.pipelines.schedule import Schedule

__all__ = ["BasePipeline", "Schedule", "pipeline"]
