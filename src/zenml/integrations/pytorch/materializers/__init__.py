"""Materializers for PyTorch."""

from zenml.integrations.pytorch.materializers.pytorch_dataloader_materializer import (
    PyTorchDataLoaderMaterializer,
)
from zenml.integrations.pytorch.materializers.pytorch_module_materializer import PyTorchModuleMaterializer
from zenml.integrations.pytorch.materializers.pytorch_tensor_materializer import PyTorchTensorMaterializer

__all__ = ["PyTorchDataLoaderMaterializer", "PyTorchModuleMaterializer", "PyTorchTensorMaterializer"]
