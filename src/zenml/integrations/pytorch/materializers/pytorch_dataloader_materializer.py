"""PyTorch data loaders."""

from __future__ import annotations

from typing import Any, ClassVar

import cloudpickle  # type: ignore[import-untyped]
from torch.utils.data import DataLoader

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_NAME = "dataloader.cloudpickle"


class PyTorchDataLoaderMaterializer(BaseMaterializer):
    """Data loaders with their data sets, as a pickle, `dataloader.cloudpickle`: both may hold any code."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (DataLoader,)
    PICKLES: ClassVar[bool] = True

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the loader."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "rb") as file:
            return cloudpickle.load(file)

    def handle_return(self, data: Any) -> None:
        """Write the loader."""
        super().handle_return(data)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "wb") as file:
            cloudpickle.dump(data, file, protocol=5)
