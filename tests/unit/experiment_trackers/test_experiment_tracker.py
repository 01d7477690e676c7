"""What a step reports to its experiment tracker."""

import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np
import pytest
import torch

from zenml.context import RunningStep, running
from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, RunError
from zenml.experiment_trackers import BaseExperimentTracker, LocalExperimentTracker
from zenml.model.deployment import Deployment, StackSpec
from zenml.model.runs import CacheKey, StepTask
from zenml.stack.flavors import find_flavor, load_flavor


class Records:
    """The two writing verbs of a metadata store."""

    def __init__(self) -> None:
        self.metrics: list[tuple[int, str, float, int]] = []
        self.parameters: dict[tuple[int, str], str] = {}

    def log_metrics(self, step_run_id: int, metrics: dict[str, float], *, step: int = 0) -> None:
        self.metrics += [(step_run_id, name, value, step) for name, value in metrics.items()]

    def log_parameters(self, step_run_id: int, parameters: dict[str, str]) -> None:
        self.parameters |= {(step_run_id, name): value for name, value in parameters.items()}


@pytest.fixture
def records() -> Iterator[Records]:
    """A step with the id 7 runs."""
    store = Records()
    deployment = Deployment("p", "r", uuid4(), (), StackSpec("s", {}))
    task = StepTask(1, 7, "trainer", CacheKey("k", {}))
    with running(RunningStep(deployment, task, SimpleNamespace(metadata_store=store), {})):
        yield store


tracker = LocalExperimentTracker(name="notes")


def test_the_flavor_is_found_by_its_name() -> None:
    flavor = find_flavor(StackComponentType.EXPERIMENT_TRACKER, "local")
    assert load_flavor(flavor) is LocalExperimentTracker


def test_a_step_reports_parameters_and_a_series_of_numbers(records: Records) -> None:
    tracker.log_params({"lr": 0.1, "optimizer": "adam", "layers": [1, 2], "seed": None})
    tracker.log_params({"lr": 0.2})
    for epoch in range(2):
        tracker.log_metrics({"loss": 1 / (epoch + 1)}, step=epoch)
    assert records.metrics == [(7, "loss", 1.0, 0), (7, "loss", 0.5, 1)]
    assert records.parameters == {
        (7, "lr"): "0.2",
        (7, "optimizer"): "adam",
        (7, "layers"): "[1, 2]",
        (7, "seed"): "None",
    }


def test_numbers_of_other_libraries_are_numbers(records: Records) -> None:
    tracker.log_metrics(
        {"a": 1, "b": np.float32(0.5), "c": np.int64(2), "d": np.array([3.0]), "e": torch.tensor(4.0)}
    )
    assert [value for _, _, value, _ in records.metrics] == [1.0, 0.5, 2.0, 3.0, 4.0]
    assert all(type(value) is float for _, _, value, _ in records.metrics)


def test_every_mistake_is_named_and_nothing_recorded(records: Records) -> None:
    with pytest.raises(ConfigurationError) as caught:
        tracker.log_metrics(
            {"fine": 1.0, "text": "0.5", "flag": True, "nan": math.nan, "inf": -math.inf, "huge": 10**400,
             "many": np.zeros(3), "": 1, "x" * 191: 1, 3: 1.0},
            step=-1,
        )  # fmt: skip
    message = str(caught.value)
    for line in (
        "step: -1 is no whole number from 0 on.",
        "text: '0.5' is a str, not a number.",
        "flag: True is a bool, not a number.",
        "nan: nan is not finite: log it only where `math.isfinite` holds.",
        "inf: -inf is not finite",
        "many: a ndarray of more than one element is no number.",
        "'' cannot be a name: 1 to 190 printable characters are expected.",
        "3 is no text, so it cannot be a name.",
    ):
        assert line in message
    assert "fine" not in message
    assert records.metrics == []


def test_outside_of_a_step_there_is_nothing_to_record_for() -> None:
    with pytest.raises(
        RunError, match=r"`log_metrics` of the experiment tracker 'notes' was called outside of a step"
    ):
        tracker.log_metrics({"loss": 1.0})
    with pytest.raises(RunError, match=r"`log_params` .* decorated with @step"):
        tracker.log_params({"lr": 1.0})


def test_a_flavor_of_the_users_own_adds_its_service(records: Records) -> None:
    class Mine(BaseExperimentTracker):
        FLAVOR: ClassVar[str] = "mine"
        sent: ClassVar[list[Any]] = []

        def log_metrics(self, metrics: Any, step: int = 0) -> None:
            super().log_metrics(metrics, step)
            self.sent.append((metrics, step))

    mine = Mine(name="mine")
    mine.log_metrics({"loss": 1.0}, step=2)
    assert mine.sent == [({"loss": 1.0}, 2)]
    assert records.metrics == [(7, "loss", 1.0, 2)]
