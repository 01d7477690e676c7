"""Integrations with other libraries. This module is the table of what each one brings; it imports none of them."""

from zenml.stack.integrations import Integration

_PYTORCH = "zenml.integrations.pytorch.materializers"
_SKLEARN = "zenml.integrations.sklearn.materializers"

INTEGRATIONS: tuple[Integration, ...] = (
    Integration(
        name="pytorch",
        requirements=("torch>=2.4", "safetensors>=0.4.5"),
        materializers={
            "torch.Tensor": f"{_PYTORCH}.pytorch_tensor_materializer.PyTorchTensorMaterializer",
            "torch.nn.modules.module.Module": f"{_PYTORCH}.pytorch_module_materializer.PyTorchModuleMaterializer",
            "torch.utils.data.dataloader.DataLoader": f"{_PYTORCH}.pytorch_dataloader_materializer.PyTorchDataLoaderMaterializer",
        },
    ),
    Integration(
        name="sklearn",
        requirements=("scikit-learn>=1.5", "skops>=0.11"),
        materializers={
            "sklearn.base.BaseEstimator": f"{_SKLEARN}.sklearn_materializer.SklearnMaterializer",
        },
    ),
)
