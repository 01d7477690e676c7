"""Steps of their own; jobs import this module."""

import time

from zenml.pipelines import pipeline
from zenml.steps import step


@step(step_operator="operator", timeout=60, enable_cache=False)
def wait() -> int:
    time.sleep(60)
    return 0


@step(step_operator="operator")
def work() -> int:
    return 1


@pipeline
def waiting() -> None:
    wait()


@pipeline
def working() -> None:
    work()
