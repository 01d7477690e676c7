"""PyArrow tables, record batches and arrays."""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_NAME = "data.arrow"
_COLUMN = "data"


class PyArrowMaterializer(BaseMaterializer):
    """Tables, record batches, arrays and chunked arrays in Arrow's own file format, `data.arrow`: types, chunks and metadata are kept."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (pa.Table, pa.RecordBatch, pa.ChunkedArray, pa.Array)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the table, batch or array."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "rb") as file, pa.ipc.open_file(file) as reader:
            if issubclass(data_type, pa.RecordBatch):
                return reader.get_batch(0)
            if issubclass(data_type, pa.Array):
                return reader.get_batch(0).column(0)
            table = reader.read_all()
        return table.column(0) if issubclass(data_type, pa.ChunkedArray) else table

    def handle_return(self, data: Any) -> None:
        """Write the table, batch or array."""
        super().handle_return(data)
        if isinstance(data, pa.Array):
            data = pa.record_batch([data], [_COLUMN])
        elif isinstance(data, pa.ChunkedArray):
            data = pa.table([data], [_COLUMN])
        with (
            fileio.open(f"{self.artifact.uri}/{_NAME}", "wb") as file,
            pa.ipc.new_file(file, data.schema) as writer,
        ):
            writer.write(data)
