"""Measure a classifier."""

from __future__ import annotations

from typing import Any

import pandas as pd  # noqa: TC002 - annotations of steps are read at run time
from sklearn.base import BaseEstimator  # noqa: TC002 - the same
from sklearn.metrics import classification_report

from zenml.exceptions import StepInterfaceError, nearest
from zenml.steps import BaseStep, BaseStepConfig


class SklearnEvaluatorConfig(BaseStepConfig):
    """`label_class_column` is the column that holds the true classes."""

    label_class_column: str


class SklearnEvaluator(BaseStep):
    """Compares what `model` predicts for the rows of `dataset` with their labels."""

    def entrypoint(
        self, dataset: pd.DataFrame, model: BaseEstimator, config: SklearnEvaluatorConfig
    ) -> dict[str, Any]:
        """scikit-learn's classification report: precision, recall, f1-score and support of each class, and the accuracy."""
        label = config.label_class_column
        if label not in dataset.columns:
            raise StepInterfaceError(
                f"The data set has no column {label!r} with the classes.{nearest(label, map(str, dataset.columns))}"
            )
        predicted = model.predict(dataset.drop(columns=label))
        report: dict[str, Any] = classification_report(
            dataset[label], predicted, output_dict=True, zero_division=0
        )
        return report
