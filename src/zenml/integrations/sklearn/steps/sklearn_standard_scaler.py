"""Scale the numbers of data sets."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
from pydantic import Field
from sklearn.preprocessing import StandardScaler

from zenml.exceptions import StepInterfaceError, nearest
from zenml.steps import BaseStep, BaseStepConfig


class SklearnStandardScalerConfig(BaseStepConfig):
    """`exclude_columns` are left out of the results, `ignore_columns` stay as they are (labels, for instance)."""

    ignore_columns: list[str] = Field(default_factory=list)
    exclude_columns: list[str] = Field(default_factory=list)


class Scaled(NamedTuple):
    """The data sets, scaled."""

    train_transformed: pd.DataFrame
    test_transformed: pd.DataFrame
    validation_transformed: pd.DataFrame


class SklearnStandardScaler(BaseStep):
    """Brings every column of numbers to mean 0 and variance 1, as the rows to train with have it; other columns stay as they are."""

    def entrypoint(  # noqa: PLR0917 - the inputs have names
        self,
        train_dataset: pd.DataFrame,
        test_dataset: pd.DataFrame,
        validation_dataset: pd.DataFrame,
        config: SklearnStandardScalerConfig,
        statistics: pd.DataFrame | None = None,
        schema: pd.DataFrame | None = None,
    ) -> Scaled:
        """The three data sets, scaled.

        What an analyzer has found (`statistics`, `schema`) may be handed in; the data themselves tell enough.
        """
        known = list(train_dataset.columns)
        for column in (*config.ignore_columns, *config.exclude_columns):
            if column not in known:
                raise StepInterfaceError(
                    f"The data set has no column {column!r} to leave as it is or to leave out.{nearest(column, map(str, known))}"
                )
        kept = [column for column in known if column not in config.exclude_columns]
        numbers = (
            train_dataset[kept].select_dtypes("number").columns.difference(config.ignore_columns, sort=False)
        )
        scaler = StandardScaler().fit(train_dataset[numbers]) if len(numbers) else None

        def scaled(dataset: pd.DataFrame) -> pd.DataFrame:
            result: pd.DataFrame = dataset[kept].copy()
            if scaler is not None and len(result):
                values = pd.DataFrame(scaler.transform(result[numbers]), index=result.index, columns=numbers)
                result = result.drop(columns=numbers).join(values)[kept]
            return result

        return Scaled(scaled(train_dataset), scaled(test_dataset), scaled(validation_dataset))
