"""Data classes and pydantic models."""

from __future__ import annotations

from zenml.materializers.built_in_materializer import EncodedMaterializer


class StructuredMaterializer(EncodedMaterializer):
    """Instances of data classes and of pydantic models, field by field.

    Reading makes them again without running `__init__` or validators.
    """
