"""Integrations with other libraries. This module is the table of what each one brings; it imports none of them."""

from zenml.stack.integrations import Integration

INTEGRATIONS: tuple[Integration, ...] = (
    Integration(
        name="pytorch",
        requirements=("torch>=2.4", "safetensors>=0.4.5"),
        materializers={
            "torch.Tensor": "zenml.integrations.pytorch.materializers.pytorch_tensor_materializer.PyTorchTensorMaterializer",
            "torch.nn.modules.module.Module": "zenml.integrations.pytorch.materializers.pytorch_module_materializer.PyTorchModuleMaterializer",
            "torch.utils.data.dataloader.DataLoader": "zenml.integrations.pytorch.materializers.pytorch_dataloader_materializer.PyTorchDataLoaderMaterializer",
        },
    ),
    Integration(
        name="sklearn",
        requirements=("scikit-learn>=1.5", "skops>=0.11"),
        materializers={
            "sklearn.base.BaseEstimator": "zenml.integrations.sklearn.materializers.sklearn_materializer.SklearnMaterializer",
        },
    ),
)
