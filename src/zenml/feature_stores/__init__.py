"""Feature stores: what was known of an entity, and when."""

from zenml.feature_stores.base_feature_store import BaseFeatureStore
from zenml.feature_stores.local_feature_store import FeatureView, LocalFeatureStore

__all__ = ["BaseFeatureStore", "FeatureView", "LocalFeatureStore"]
