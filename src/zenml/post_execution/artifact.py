"""A look at a stored value."""

from __future__ import annotations

import builtins
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.post_execution.view import Stores, View

if TYPE_CHECKING:
    from zenml.materializers.base_materializer import BaseMaterializer
    from zenml.model.runs import ArtifactRecord
    from zenml.post_execution.content import Fault
    from zenml.post_execution.step import StepView


class ArtifactView(View):
    """A value that a step gave."""

    def __init__(self, stores: Stores, record: ArtifactRecord, *, is_cached: bool) -> None:
        super().__init__(stores, record.id)
        self._record = record
        self._is_cached = is_cached

    @property
    def name(self) -> str:
        """Name of the output that it was written as."""
        return self._record.name

    @property
    def type(self) -> str:
        """Name of the artifact class: "DataArtifact"."""
        return self._record.artifact_type.rpartition(".")[2]

    @property
    def data_type(self) -> str:
        """Import path of the value's type."""
        return self._record.data_type

    @property
    def materializer(self) -> str:
        """Import path of the materializer that wrote it."""
        return self._record.materializer

    @property
    def uri(self) -> str:
        """The folder of its files."""
        return self._record.uri

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return self._record.size

    @property
    def digest(self) -> str:
        """Hexadecimal SHA-256 over its files: equal for values that were written equally."""
        return self._record.digest

    @property
    def is_cached(self) -> bool:
        """Whether the step of the run that this view was reached from took it from the cache."""
        return self._is_cached

    @property
    def parent_step_id(self) -> int:
        """Id of the step that wrote it."""
        return self._record.producer

    @property
    def producer_step(self) -> StepView:
        """The step that wrote it; for a cached value, in the run in which it really ran."""
        from zenml.post_execution.step import StepView

        return StepView(self._stores, self._stores.metadata.step(self._record.producer))

    def read(
        self,
        output_data_type: builtins.type[Any] | None = None,
        materializer_class: builtins.type[BaseMaterializer] | None = None,
    ) -> Any:
        """The value, read with the materializer that wrote it, after its files were compared with their digests.

        Args:
            output_data_type: the type to read it as, where the materializer can give several.
            materializer_class: another materializer.

        Raises:
            ArtifactGoneError: files are missing.
            ArtifactCorruptedError: files are not what was written.
            MaterializerInterfaceError: the materializer or the type cannot be imported, or do not fit.
        """
        from zenml.materializers.values import read_value

        return read_value(self._record, self._stores.artifacts, output_data_type, materializer_class)

    def verify(self) -> list[Fault]:
        """What is wrong with its files, after all of them were read: nothing if they are what was written."""
        from zenml.post_execution.content import faults

        return faults(self._record, self._stores.artifacts)

    def export(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Copy its files, verified, to the new folder `path`; gives the folder.

        With `overwrite`, it takes the place of a folder that holds files of the same names and nothing else.

        Raises:
            FileExistsError: there is something at `path` that may not be replaced.
            ArtifactGoneError, ArtifactCorruptedError: its files are not what was written.
        """
        from zenml.post_execution.content import export_value

        return export_value(self._record, self._stores.artifacts, path, overwrite=overwrite)

    def _identity(self) -> tuple[object, ...]:
        return *super()._identity(), self.uri

    def _repr_html_(self) -> str:
        from zenml.post_execution.notebook import artifact_html

        return artifact_html(self)

    def __repr__(self) -> str:
        return f"ArtifactView(id={self.id}, name={self.name!r}, type={self.type!r}, uri={self.uri!r})"
