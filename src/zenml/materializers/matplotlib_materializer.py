"""Matplotlib figures."""

from __future__ import annotations

import pickle
from typing import Any, ClassVar

import matplotlib.figure

from zenml.artifacts import BaseArtifact, DataAnalysisArtifact, DataArtifact
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_PICTURE = "figure.png"
_PICKLE = "figure.pickle"


class MatplotlibMaterializer(BaseMaterializer):
    """Figures: as a picture to look at, `figure.png`, and as a pickle, `figure.pickle`.

    Matplotlib has no other form that a figure can be read back from. The figure that is read belongs to no window and not to the
    state of `pyplot`.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (matplotlib.figure.Figure,)
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (DataAnalysisArtifact, DataArtifact)
    PICKLES: ClassVar[bool] = True

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the figure."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_PICKLE}", "rb") as file:
            return pickle.load(file)  # noqa: S301 - its digest is verified

    def handle_return(self, data: Any) -> None:
        """Write the figure."""
        super().handle_return(data)
        with fileio.open(f"{self.artifact.uri}/{_PICTURE}", "wb") as file:
            data.savefig(file, format="png", metadata={"Software": None})
        with fileio.open(f"{self.artifact.uri}/{_PICKLE}", "wb") as file:
            _Pickler(file, protocol=5).dump(data)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if not isinstance(value, matplotlib.figure.Figure):
            return NotImplemented
        reduced: Any = value.__reduce_ex__(5)
        make, arguments, state = reduced[:3]
        state.pop("_restore_to_pylab", None)  # reading would open a window
        return make, arguments, state
