"""Steps for tabular data: split, scale, evaluate."""

from zenml.integrations.sklearn.steps.sklearn_evaluator import SklearnEvaluator, SklearnEvaluatorConfig
from zenml.integrations.sklearn.steps.sklearn_splitter import SklearnSplitter, SklearnSplitterConfig
from zenml.integrations.sklearn.steps.sklearn_standard_scaler import (
    SklearnStandardScaler,
    SklearnStandardScalerConfig,
)

__all__ = [
    "SklearnEvaluator",
    "SklearnEvaluatorConfig",
    "SklearnSplitter",
    "SklearnSplitterConfig",
    "SklearnStandardScaler",
    "SklearnStandardScalerConfig",
]
