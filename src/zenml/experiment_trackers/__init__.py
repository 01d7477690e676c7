"""Experiment trackers: the parameters and numbers that steps report."""

from zenml.experiment_trackers.base_experiment_tracker import BaseExperimentTracker
from zenml.experiment_trackers.local_experiment_tracker import LocalExperimentTracker

__all__ = ["BaseExperimentTracker", "LocalExperimentTracker"]
