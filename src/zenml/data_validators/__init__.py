"""Data validators: whether data is as it should be."""

from zenml.data_validators.base_data_validator import BaseDataValidator
from zenml.data_validators.local_data_validator import LocalDataValidator
from zenml.data_validators.report import Failure, ValidationReport
from zenml.data_validators.schema import ColumnSchema, FrameSchema

__all__ = [
    "BaseDataValidator",
    "ColumnSchema",
    "Failure",
    "FrameSchema",
    "LocalDataValidator",
    "ValidationReport",
]
