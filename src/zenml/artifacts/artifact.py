"""The artifact classes. A materializer gets an instance, and reads and writes files below its `uri`."""

from __future__ import annotations

from typing import ClassVar


class BaseArtifact:
    """A stored value: where it lies, and how it was written.

    Attributes:
        uri: the folder, or the prefix, of its files.
        id: the metadata store's identifier; 0 while it is being written.
        materializer: import path of the class that wrote it.
        datatype: import path of the value's type.
    """

    TYPE_NAME: ClassVar[str] = "BaseArtifact"

    def __init_subclass__(cls) -> None:
        cls.TYPE_NAME = cls.__name__

    def __init__(self, uri: str, id: int = 0, materializer: str = "", datatype: str = "") -> None:
        self.uri = uri
        self.id = id
        self.materializer = materializer
        self.datatype = datatype

    def __repr__(self) -> str:
        return f"{type(self).__name__}(uri={self.uri!r})"


class DataArtifact(BaseArtifact):
    """Data: rows, arrays, plain values."""


class DataAnalysisArtifact(BaseArtifact):
    """The result of looking at data: a profile, a report."""


class ModelArtifact(BaseArtifact):
    """A trained model."""


class SchemaArtifact(BaseArtifact):
    """The shape that data should have."""


class ServiceArtifact(BaseArtifact):
    """A long-running service."""


class StatisticsArtifact(BaseArtifact):
    """Numbers that describe data."""
