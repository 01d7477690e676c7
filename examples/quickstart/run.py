"""Train a classifier for handwritten digits: load, split, train, evaluate. Run it twice: the second time, nothing is computed again."""

from __future__ import annotations

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import Output, step


@step
def load() -> Output(images=np.ndarray, labels=np.ndarray):
    """Give the 1,797 images of 8 x 8 pixels that scikit-learn ships, and the digit that each one shows."""
    digits = load_digits()
    return digits.data, digits.target


@step
def split(images: np.ndarray, labels: np.ndarray, test_size: float = 0.25) -> Output(
    x_train=np.ndarray, x_test=np.ndarray, y_train=np.ndarray, y_test=np.ndarray
):
    """Keep some images aside for the evaluation."""
    return tuple(train_test_split(images, labels, test_size=test_size, random_state=0, stratify=labels))


@step
def train(x_train: np.ndarray, y_train: np.ndarray, regularization: float = 1.0) -> ClassifierMixin:
    """Fit a logistic regression on the pixels, scaled to 0..1."""
    return LogisticRegression(C=regularization, max_iter=1000).fit(x_train / 16, y_train)


@step
def evaluate(model: ClassifierMixin, x_test: np.ndarray, y_test: np.ndarray) -> float:
    """Give the share of test images that the model gets right."""
    return float(accuracy_score(y_test, model.predict(x_test / 16)))


@pipeline
def digits_pipeline(test_size: float = 0.25, regularization: float = 1.0) -> None:
    """From the data to a model and its accuracy."""
    images, labels = load()
    x_train, x_test, y_train, y_test = split(images, labels, test_size=test_size)
    model = train(x_train, y_train, regularization=regularization)
    evaluate(model, x_test, y_test)


def main() -> None:
    """Run the pipeline twice on the active stack, and say what came of it."""
    first = digits_pipeline().run()
    second = digits_pipeline().run()

    stack = Repository().active_stack
    print(f"\naccuracy:       {first.get_step('evaluate').output.read():.3f}")
    for number, run in (("first", first), ("second", second)):
        cached = [view.name for view in run.steps if view.is_cached]
        print(f"{number + ' run:':<15} {run.status}, taken from the cache: {', '.join(cached) or 'nothing'}")
    print(f"stack:          {stack.name}")
    print(f"values:         {stack.artifact_store.path}")
    print(f"what happened:  {getattr(stack.metadata_store, 'uri', stack.metadata_store.name)}")
    print(f"the model:      {second.get_step('train').output.uri}")


if __name__ == "__main__":
    main()
