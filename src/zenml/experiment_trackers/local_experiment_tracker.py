"""The experiment tracker that needs no service."""

from __future__ import annotations

from typing import ClassVar

from zenml.experiment_trackers.base_experiment_tracker import BaseExperimentTracker


class LocalExperimentTracker(BaseExperimentTracker):
    """Records parameters and metrics in the stack's metadata store, wherever that is."""

    FLAVOR: ClassVar[str] = "local"
