"""Search hyper-parameters: one classifier of handwritten digits for each of 50 settings, in parallel. Kill it, and go on where it was.

python examples/search/run.py            the search
python examples/search/run.py RUN_NAME   resume the run of that name
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import Output, Retry, step, unmapped

STACK = "two-workers"


@step
def load(images: int = 600, test_size: float = 0.25) -> Output(
    x_train=np.ndarray, x_test=np.ndarray, y_train=np.ndarray, y_test=np.ndarray
):
    """Give some of the images of 8 x 8 pixels that scikit-learn ships, scaled to 0..1, and the digits that they show."""
    x, y = load_digits(return_X_y=True)
    return tuple(
        train_test_split(
            x[:images] / 16, y[:images], test_size=test_size, random_state=0, stratify=y[:images]
        )
    )


@step
def settings() -> list[dict[str, float]]:
    """Give the settings to try: ten values of C, five of gamma."""
    return [
        {"C": float(c), "gamma": float(gamma)}
        for c in np.logspace(-2, 3, 10)
        for gamma in np.logspace(-3, 1, 5)
    ]


@step
def train(x: np.ndarray, y: np.ndarray, setting: dict[str, float]) -> ClassifierMixin:
    """Fit a support vector machine."""
    return SVC(**setting).fit(x, y)


@step(retries=Retry(attempts=3, delay=1, on=(OSError,)), timeout=600)
def evaluate(model: ClassifierMixin, x: np.ndarray, y: np.ndarray) -> float:
    """Give the share of test images that the model gets right."""
    return float(accuracy_score(y, model.predict(x)))


@step
def best(settings: list[dict[str, float]], accuracies: list[float]) -> Output(
    setting=dict[str, float], accuracy=float
):
    """Choose the setting with the highest accuracy, the first of equals."""
    accuracy = max(accuracies)
    return settings[accuracies.index(accuracy)], accuracy


@pipeline
def search() -> None:
    """One model for each setting, and the best of them."""
    x_train, x_test, y_train, y_test = load()
    tried = settings()
    models = train.map(x=unmapped(x_train), y=unmapped(y_train), setting=tried)
    accuracies = evaluate.map(models, x=unmapped(x_test), y=unmapped(y_test))
    best(tried, accuracies)


def activate_two_workers() -> None:
    """Make a stack active whose orchestrator executes two steps at a time, on this machine."""
    repository = Repository()
    if STACK not in {stack.name for stack in repository.stacks}:
        default = repository.active_stack
        repository.register_stack(
            Stack(
                STACK,
                orchestrator=LocalOrchestrator(name=STACK, max_workers=2),
                metadata_store=default.metadata_store,
                artifact_store=default.artifact_store,
            )
        )
    repository.activate_stack(STACK)


def main() -> None:
    """Search, or resume a search, and say what came of it."""
    activate_two_workers()
    run = search().resume(sys.argv[1]) if len(sys.argv) > 1 else search().run()
    found = run.get_step("best").outputs
    trained = run.get_step("train").instances
    print(f"\nrun:       {run.name}")
    print(f"best:      {found['setting'].read()}, accuracy {found['accuracy'].read():.3f}")
    print(f"trained:   {sum(model.is_completed for model in trained)} of {len(trained)}")


if __name__ == "__main__":
    main()
