"""Materializers for scikit-learn."""

from zenml.integrations.sklearn.materializers.sklearn_materializer import SklearnMaterializer

__all__ = ["SklearnMaterializer"]
