"""PyTorch tensors."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from zenml.integrations.pytorch.materializers.tensors import read_tensors, write_tensors
from zenml.materializers.base_materializer import BaseMaterializer


class PyTorchTensorMaterializer(BaseMaterializer):
    """Tensors and parameters, see `zenml.integrations.pytorch.materializers.tensors`.

    A tensor of another device is read back on that device where it is there, else on the CPU; the graph that a tensor was computed
    by is not kept.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (torch.Tensor,)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the tensor."""
        super().handle_input(data_type)
        return read_tensors(self.artifact.uri)["data"]

    def handle_return(self, data: Any) -> None:
        """Write the tensor."""
        super().handle_return(data)
        write_tensors(self.artifact.uri, {"data": data})
