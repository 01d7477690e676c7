"""Split a data set into rows to train, test and validate with."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import NamedTuple

import pandas as pd  # noqa: TC002 - annotations of steps are read at run time
from pydantic import field_validator
from sklearn.utils import shuffle

from zenml.steps import BaseStep, BaseStepConfig

_PARTS = ("train", "test", "validation")


class SklearnSplitterConfig(BaseStepConfig):
    """`ratios` are the shares of "train", "test" and "validation"; a part that is not named is empty.

    `random_state` makes the split repeatable.
    """

    ratios: dict[str, float]
    random_state: int = 0

    @field_validator("ratios")
    @classmethod
    def _check(cls, ratios: dict[str, float]) -> dict[str, float]:
        if unknown := sorted(set(ratios) - set(_PARTS)):
            raise ValueError(f"the parts are {', '.join(_PARTS)}; there is no {', '.join(unknown)}")
        if negative := [name for name, ratio in ratios.items() if not ratio >= 0]:
            raise ValueError(f"the ratio of {negative[0]} is {ratios[negative[0]]}, it must not be negative")
        # 0.7 + 0.2 + 0.1 is a little less than 1.
        if not math.isclose(sum(ratios.values()), 1):
            raise ValueError(f"the ratios must add up to 1, these make {sum(ratios.values()):g}")
        return ratios


class Split(NamedTuple):
    """The parts of a data set."""

    train: pd.DataFrame
    test: pd.DataFrame
    validation: pd.DataFrame


class SklearnSplitter(BaseStep):
    """Shuffles the rows of `dataset` and splits them."""

    def entrypoint(self, dataset: pd.DataFrame, config: SklearnSplitterConfig) -> Split:
        """The rows of each part."""
        shuffled = shuffle(dataset, random_state=config.random_state)
        ends = [0]
        share = 0.0
        for part in _PARTS:
            share += config.ratios.get(part, 0)
            ends.append(round(share * len(shuffled)))
        return Split(*(shuffled.iloc[start:end] for start, end in pairwise(ends)))
