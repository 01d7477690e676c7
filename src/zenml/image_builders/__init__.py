"""Programs that build images of containers, keep them and push them."""

from zenml.image_builders.base_image_builder import BuilderName, ImageBuilder, RegistryAccess

__all__ = ["BuilderName", "ImageBuilder", "RegistryAccess"]
