"""The handwritten digits that come with scikit-learn, and a model for them."""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC


def get_digits() -> tuple[Any, Any, Any, Any]:
    """Images as rows of 64 grey values, and the digits that they show: `X_train, X_test, y_train, y_test`.

    The first four fifths are to train with.
    """
    images, digits = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(images, digits, test_size=0.2, shuffle=False)
    return x_train, x_test, y_train, y_test


def get_digits_model() -> SVC:
    """A classifier for these digits, to be fitted."""
    return SVC(gamma=0.001)
