"""PyTorch modules."""

from __future__ import annotations

from typing import Any, ClassVar

import cloudpickle  # type: ignore[import-untyped]
import torch

from zenml.artifacts import BaseArtifact, ModelArtifact
from zenml.integrations.pytorch.materializers.tensors import read_tensors, write_tensors
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_STRUCTURE = "module.cloudpickle"


class PyTorchModuleMaterializer(BaseMaterializer):
    """Modules: their tensors without pickles, and the structure around them as a pickle, `module.cloudpickle`.

    For the tensors see `zenml.integrations.pytorch.materializers.tensors`. They can be used without the pickle: their names in the
    files are those in `module.state_dict()`, where they have one. A module's class that can be imported is pickled by its name, so
    that reading uses its present code.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (torch.nn.Module,)
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (ModelArtifact,)
    PICKLES: ClassVar[bool] = True

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the module."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_STRUCTURE}", "rb") as file:
            return _Unpickler(file, read_tensors(self.artifact.uri)).load()

    def handle_return(self, data: Any) -> None:
        """Write the module."""
        super().handle_return(data)
        with fileio.open(f"{self.artifact.uri}/{_STRUCTURE}", "wb") as file:
            pickler = _Pickler(file, data)
            pickler.dump(data)
        write_tensors(self.artifact.uri, pickler.tensors)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Leaves tensors out, and remembers them."""

    def __init__(self, file: Any, module: Any) -> None:
        super().__init__(file, protocol=5)
        self._names = {
            id(tensor): name
            for name, tensor in module.state_dict(keep_vars=True).items()
            if isinstance(tensor, torch.Tensor)
        }
        self.tensors: dict[str, Any] = {}

    def persistent_id(self, value: Any) -> str | None:
        if type(value) not in (torch.Tensor, torch.nn.Parameter):
            return None
        name: str = self._names.setdefault(id(value), f"{len(self._names)}")
        self.tensors[name] = value
        return name


class _Unpickler(cloudpickle.pickle.Unpickler):  # type: ignore[misc]
    def __init__(self, file: Any, tensors: dict[str, Any]) -> None:
        super().__init__(file)
        self._tensors = tensors

    def persistent_load(self, name: str) -> Any:
        return self._tensors[name]
