"""Steps of their own; jobs import this module."""

import time

from zenml.pipelines import pipeline
from zenml.steps import Resources, step


@step(step_operator="operator", timeout=60, enable_cache=False)
def wait() -> int:
    time.sleep(60)
    return 0


@step(step_operator="operator", resources=Resources(cpu=1, memory="1GB"))
def work() -> int:
    return 1


@step(step_operator="operator", resources=Resources(cpu=8, memory="64GB", gpu=1, custom={"license": 1}))
def overwork() -> int:
    return 1


@pipeline
def overworking() -> None:
    overwork()


@pipeline
def waiting() -> None:
    wait()


@pipeline
def working() -> None:
    work()
