"""Polars data frames, series and lazy frames."""

from __future__ import annotations

from typing import IO, Any, ClassVar, cast

import polars as pl

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_NAME = "data.arrow"


class PolarsMaterializer(BaseMaterializer):
    """Data frames, series and the results of lazy frames in Arrow's file format, `data.arrow`: every type of Polars but `Object` is kept.

    A lazy frame is computed when it is written, and read back as a lazy frame over the result.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (pl.DataFrame, pl.Series, pl.LazyFrame)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the frame or series."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "rb") as file:
            frame = pl.read_ipc(file)
        if issubclass(data_type, pl.Series):
            return frame.to_series()
        return frame.lazy() if issubclass(data_type, pl.LazyFrame) else frame

    def handle_return(self, data: Any) -> None:
        """Write the frame or series. Raises TypeError for columns of the type `Object`."""
        super().handle_return(data)
        frame = (
            data.collect()
            if isinstance(data, pl.LazyFrame)
            else data.to_frame()
            if isinstance(data, pl.Series)
            else data
        )
        if objects := [name for name, type_ in frame.schema.items() if type_ == pl.Object]:
            raise TypeError(
                f"The columns {objects} are of the Polars type Object, which no file format holds: convert them to a type of "
                "their own, or to text."
            )
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "wb") as file:
            frame.write_ipc(cast("IO[bytes]", file))
