"""PyTorch: materializers for tensors, modules and data loaders."""
