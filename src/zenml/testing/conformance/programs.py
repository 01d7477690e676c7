"""The steps and pipelines that orchestrators and step operators are tested with.

They are of a module, so that a process elsewhere can import them where this package is installed; it needs no package for tests.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import suppress
from typing import Any
from uuid import uuid4

from zenml.context import running_step
from zenml.pipelines import pipeline
from zenml.steps import Resources, Retry, StepContext, step, unmapped

SECONDS = 60.0
"""For how long a step waits at the most for what must happen."""


@step
def number(value: int = 1) -> int:
    """A parameter as an output."""
    return value


@step
def add(left: int, right: int = 1) -> int:
    """A sum."""
    return left + right


@step
def total(values: list[int]) -> int:
    """A sum of many."""
    return sum(values)


@step
def fail(value: int = 0) -> int:
    """Raise, whatever it is given."""
    raise ValueError(f"no good: {value}")


@pipeline
def chain(length: int) -> None:
    """Steps that each wait for the one before."""
    value = number()
    for _ in range(length - 1):
        value = add(value)


@pipeline
def fan_out(width: int) -> None:
    """Steps that wait for one, and one that waits for all of them, by twos."""
    values = [add(number(value=n, id=f"number_{n}"), right=n, id=f"add_{n}") for n in range(width)]
    while len(values) > 1:
        values = [add(left, right) for left, right in zip(values[::2], values[1::2], strict=True)]


@pipeline
def broken() -> None:
    """A branch that fails, with what depends on it, and one that does not."""
    add(fail(number()), id="behind")
    add(number(value=2, id="beside"), id="beside_too")


@pipeline
def with_parameter(right: int) -> None:
    """Two branches, one of which depends on the parameter."""
    add(number(), right=right, id="changed")
    add(number(value=5, id="other"), id="same")


def _met(other: str) -> bool:
    running = running_step()
    assert running is not None
    store = running.stack.metadata_store
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if any(step.name == other and step.started for step in store.steps(running.task.run_id)):
            return True
        time.sleep(0.02)
    return False


@step(enable_cache=False)
def meet(other: str) -> bool:
    """Wait until the step `other` of the same run has been started, too."""
    return _met(other)


@pipeline
def meeting() -> None:
    """Two steps that wait for each other."""
    meet(other="two", id="one")
    meet(other="one", id="two")


def _attempt() -> int:
    running = running_step()
    assert running is not None
    attempts: int = running.stack.metadata_store.step(running.task.step_run_id).attempts
    return attempts


@step(retries=Retry(attempts=3, on=(ConnectionError,)), enable_cache=False)
def flaky(failures: int) -> int:
    """Fail in the first attempts."""
    attempt = _attempt()
    if attempt <= failures:
        raise ConnectionError(f"attempt {attempt}")
    return attempt


@pipeline
def retried(failures: int) -> None:
    """A step that is tried three times at the most."""
    add(flaky(failures=failures), id="behind")


def _go_on() -> int:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        with suppress(BaseException):  # it does not cooperate
            time.sleep(0.05)
    return 0


@step(timeout=1)
def endless() -> int:
    """Go on, whatever is raised in it."""
    return _go_on()


@pipeline
def too_long() -> None:
    """A step that takes longer than it may, and one beside it."""
    add(endless(), id="behind")
    number(value=3, id="beside")


@step(timeout=SECONDS)
def die() -> int:
    """End the process without a word."""
    os._exit(3)


@pipeline
def dying() -> None:
    """A step, the process of which dies, and one beside it."""
    add(die(), id="behind")
    number(value=3, id="beside")


@step(timeout=SECONDS, enable_cache=False)
def wait() -> int:
    """Wait to be cancelled."""
    time.sleep(SECONDS)
    return 0


@pipeline
def waiting() -> None:
    """A step that waits to be cancelled, and one behind it."""
    add(wait(), id="behind")


@step
def leave(code: int) -> int:
    """End the process as a program does that is done."""
    sys.exit(code)


@pipeline
def leaving(code: int) -> None:
    """A step that ends its process."""
    add(leave(code=code), id="behind")


@step
def numbers(count: int) -> list[int]:
    """A list, the length of which only the run knows."""
    return list(range(count))


@step
def square(value: int, offset: int = 0, bad: int = -1) -> int:
    """One instance."""
    if value == bad:
        raise ValueError(f"no good: {value}")
    return value * value + offset


@pipeline
def mapped(count: int, bad: int = -1) -> None:
    """A step once for each item of a list, and one that collects what they give."""
    squares = square.map(numbers(count=count), offset=unmapped(number(value=10)), bad=bad)
    total(squares, id="collect")


@pipeline
def conditional(value: int) -> None:
    """Two branches, one of which is skipped."""
    found = number(value=value, id="found")
    add(found, id="large", when=found > 10)
    add(found, id="small", when=found <= 10)


def _say(word: str) -> None:
    sys.stdout.write(f"stdout {word}\n")
    sys.stderr.write(f"stderr {word}\n")
    logger, handler = logging.getLogger("a.program"), logging.StreamHandler()
    logger.addHandler(handler)
    logger.warning("logging %s", word)
    logger.removeHandler(handler)


@step(enable_cache=False)
def shout(word: str) -> None:
    """Say something in each way that a step can say it."""
    _say(word)


@pipeline
def shouting(word: str) -> None:
    """A step that says something."""
    shout(word=word)


@step
def large(megabytes: int) -> bytes:
    """A large value."""
    return bytes(range(256)) * 4096 * megabytes


@step
def measure(data: bytes) -> int:
    """Its length."""
    return len(data)


@pipeline
def heavy(megabytes: int) -> None:
    """A large value that is handed on."""
    measure(large(megabytes=megabytes))


@step
def look_around(context: StepContext) -> dict[str, Any]:
    """What a step knows of where it runs."""
    running = running_step()
    assert running is not None
    secrets = context.stack.secrets_manager
    return {
        "stack": context.stack.name,
        "step": context.step_name,
        "run": running.run_name,
        "uri": context.get_output_artifact_uri(),
        "secret": secrets.get_secret("service").content["user"] if secrets else None,
    }


@pipeline(secrets=["service"])
def looking() -> None:
    """A step that tells where it runs."""
    look_around()


@step(resources=Resources(cpu=1))
def modest() -> int:
    """Need one core."""
    return 1


@step(resources=Resources(cpu=1_000_000))
def immodest() -> int:
    """Need more cores than there are."""
    return 1


@pipeline
def within_means() -> None:
    """A step with resources."""
    modest()


@pipeline
def beyond_means() -> None:
    """A step that can never have what it needs."""
    add(number(), id="before")
    immodest()


@step(enable_cache=False)
def token() -> str:
    """Something else whenever it is executed."""
    return uuid4().hex


@step
def length(text: str) -> int:
    """The length of a text."""
    return len(text)


@pipeline
def going_on(failing: bool) -> None:
    """Work that is finished before a step fails, or does not."""
    text = token()
    length(text)
    if failing:
        fail(id="last", after=text)
    else:
        number(id="last", after=text)


@step(step_operator="operator")
def elsewhere(value: int, context: StepContext) -> dict[str, Any]:
    """What a step knows that a step operator executes."""
    secrets = context.stack.secrets_manager
    return {
        "pid": os.getpid(),
        "value": value,
        "step": context.step_name,
        "secret": secrets.get_secret("service").content["user"] if secrets else None,
    }


@step(step_operator="operator")
def fail_elsewhere(value: int) -> int:
    """Raise, whatever it is given."""
    raise ValueError(f"no good: {value}")


@step(step_operator="operator")
def die_elsewhere(value: int) -> int:
    """End the process without a word."""
    os._exit(value)


@step(step_operator="operator")
def grow(data: bytes) -> bytes:
    """Twice as much."""
    return data + data


@step(step_operator="operator", resources=Resources(cpu=1_000_000))
def immodest_elsewhere() -> int:
    """Need more cores than there are."""
    return 1


@step
def look_at(told: dict[str, Any]) -> int:
    """Take what was made elsewhere."""
    return int(told["value"])


@pipeline
def beyond_means_there() -> None:
    """A step that can never have what it needs there."""
    immodest_elsewhere()


@pipeline(secrets=["service"])
def over_there(value: int) -> None:
    """From here to there and back."""
    look_at(elsewhere(number(value=value)))


@pipeline
def failing_there() -> None:
    """A step that fails there, and one beside it."""
    add(fail_elsewhere(number()), id="behind")
    add(number(value=2, id="beside"), id="beside_too")


@pipeline
def dying_there() -> None:
    """A step that ends without a word there."""
    add(die_elsewhere(number(value=3)), id="behind")


@pipeline
def heavy_there(megabytes: int) -> None:
    """A large value there and back."""
    measure(grow(large(megabytes=megabytes)))


@step(step_operator="operator", enable_cache=False)
def meet_elsewhere(other: str) -> bool:
    """Wait until the step `other` of the same run has been started, too."""
    return _met(other)


@pipeline
def meeting_there() -> None:
    """Two steps that wait for each other there."""
    meet_elsewhere(other="two", id="one")
    meet_elsewhere(other="one", id="two")


@step(step_operator="operator", retries=Retry(attempts=2, on=(ConnectionError,)), enable_cache=False)
def flaky_elsewhere(failures: int) -> int:
    """Fail in the first attempts."""
    attempt = _attempt()
    if attempt <= failures:
        raise ConnectionError(f"attempt {attempt}")
    return attempt


@pipeline
def retried_there(failures: int) -> None:
    """A step that is tried twice at the most."""
    flaky_elsewhere(failures=failures)


@step(step_operator="operator", timeout=1)
def endless_elsewhere() -> int:
    """Go on, whatever is raised in it."""
    return _go_on()


@pipeline
def too_long_there() -> None:
    """A step that takes longer than it may, and one beside it."""
    add(endless_elsewhere(), id="behind")
    number(value=3, id="beside")


@step(step_operator="operator", timeout=SECONDS, enable_cache=False)
def wait_elsewhere() -> int:
    """Wait to be cancelled."""
    time.sleep(SECONDS)
    return 0


@pipeline
def waiting_there() -> None:
    """A step that waits to be cancelled, and one behind it."""
    add(wait_elsewhere(), id="behind")


@step(step_operator="operator", enable_cache=False)
def shout_elsewhere(word: str) -> None:
    """Say something in each way that a step can say it."""
    _say(word)


@pipeline
def shouting_there(word: str) -> None:
    """A step that says something there."""
    shout_elsewhere(word=word)


@step(step_operator="operator")
def square_elsewhere(value: int) -> int:
    """One instance."""
    return value * value


@pipeline
def mapped_there(count: int) -> None:
    """A step once for each item of a list, and one that collects what they give."""
    total(square_elsewhere.map(numbers(count=count)), id="collect")


@step(step_operator="operator", enable_cache=False)
def token_elsewhere() -> str:
    """Something else whenever it is executed."""
    return uuid4().hex


@pipeline
def going_on_there(failing: bool) -> None:
    """Work there that is finished before a step here fails, or does not."""
    text = token_elsewhere()
    if failing:
        fail(id="last", after=text)
    else:
        number(id="last", after=text)
