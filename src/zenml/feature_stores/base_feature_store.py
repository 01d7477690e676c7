"""What a feature store is: it gives features of entities, for training as they were known then, for serving as they are known now."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

from zenml.enums import StackComponentType
from zenml.stack import StackComponent


class BaseFeatureStore(StackComponent):
    """Gives features of entities.

    A feature is named "view:feature". In results its column is "feature", or "view__feature" with `full_feature_names`. The values of
    the past must be those that were known at the time of each row, never later ones.
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.FEATURE_STORE

    @abstractmethod
    def get_historical_features(
        self, entity_df: Any, features: list[str], full_feature_names: bool = False
    ) -> Any:
        """`entity_df`, a DataFrame of entities and times, with a column for each feature, in the order of its rows.

        Raises:
            DoesNotExistException: a view or a feature is not known.
            ConfigurationError: two features would have the same name, or `entity_df` lacks a column.
        """

    @abstractmethod
    def get_online_features(
        self, entity_rows: list[dict[str, Any]], features: list[str], full_feature_names: bool = False
    ) -> dict[str, list[Any]]:
        """The latest value of each feature for each entity, as lists by column: entities' keys first.

        Raises:
            DoesNotExistException: a view or a feature is not known.
            ConfigurationError: two features would have the same name, or a row lacks a key.
        """
