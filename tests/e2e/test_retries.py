"""Steps that fail and are tried again, that take too long, and who is told how they ended."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from zenml.engine import control
from zenml.exceptions import StepInterfaceError, StepTimeoutError
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import BaseStep, Ending, Resources, Retry, step

TOLD: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_told() -> None:
    TOLD.clear()


def tell(ending: Ending) -> None:
    TOLD.append((ending.step, str(ending.status), ending.error and ending.error.type))


def failing_twice(counter: Path, **options: Any) -> Any:
    @step(**options)
    def flaky() -> int:
        number = int(counter.read_text()) + 1 if counter.exists() else 1
        counter.write_text(str(number))
        if number <= 2:
            raise ConnectionError(f"attempt {number}")
        return number

    @pipeline
    def calling() -> None:
        flaky()

    return calling()


def test_a_step_is_tried_again(tmp_path: Path) -> None:
    run = failing_twice(tmp_path / "n", retries=Retry(attempts=3, on=(ConnectionError,))).run()
    view = run.get_step("flaky")
    assert view.output.read() == 3
    assert view.attempts == 3
    store = Repository().active_stack.metadata_store
    errors = [(str(a.status), a.error and a.error.message) for a in store.attempts(view.id)]
    assert errors == [("failed", "attempt 1"), ("failed", "attempt 2"), ("completed", None)]


def test_the_last_attempt_is_the_steps_failure(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="attempt 2"):
        failing_twice(tmp_path / "n", retries=1, on_failure=tell).run()
    assert TOLD == [("flaky", "failed", "ConnectionError")]


def test_other_errors_are_not_worth_another_attempt(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="attempt 1"):
        failing_twice(tmp_path / "n", retries=Retry(attempts=3, on=(ValueError, ConnectionResetError))).run()


def test_the_wait_grows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(control.time, "sleep", waits.append)  # the clock goes on by itself
    run = failing_twice(tmp_path / "n", retries=Retry(attempts=3, delay=0.02, backoff=10)).run()
    assert run.get_step("flaky").output.read() == 3
    assert 0 < max(waits) <= 0.2


def test_a_step_that_takes_too_long_is_ended_whatever_it_does() -> None:
    @step(timeout=0.5, on_failure=tell)
    def stubborn() -> None:
        while True:
            with suppress(BaseException):  # it does not want to end
                time.sleep(60)

    @pipeline(on_failure=tell)
    def waiting() -> None:
        stubborn()

    with pytest.raises(StepTimeoutError, match=r"'stubborn' took longer than its timeout of 0\.5 seconds"):
        waiting().run(run_name="slow")
    assert [told[0] for told in TOLD] == ["stubborn", None]
    view = Repository().get_pipeline("waiting").get_run("slow").get_step("stubborn")
    assert view.error.type == "zenml.exceptions.StepTimeoutError"


def test_a_timeout_is_worth_another_attempt_where_it_is_named(tmp_path: Path) -> None:
    mark = tmp_path / "mark"

    @step(timeout=timedelta(seconds=5), retries=Retry(attempts=2, on=TimeoutError))
    def once_slow() -> str:
        if not mark.exists():
            mark.touch()
            raise TimeoutError("as if")
        return "done"

    @pipeline
    def waiting() -> None:
        once_slow()

    assert waiting().run().get_step("once_slow").output.read() == "done"


def test_hooks_are_told_of_success_and_cannot_break_anything() -> None:
    def broken(ending: Ending) -> None:
        raise RuntimeError(ending.pipeline)

    def count() -> None:
        TOLD.append("count")

    @step(on_success=tell)
    def good() -> int:
        return 1

    @step(on_success=broken)
    def better() -> int:
        return 1

    @pipeline(on_success=count)
    def fine() -> None:
        good()
        better()

    fine().run()
    assert TOLD == [("good", "completed", None), "count"]
    TOLD.clear()
    fine().run()
    assert TOLD == ["count"]  # what came from the cache has not run


def test_a_step_that_is_a_class_has_them_as_attributes() -> None:
    class Careful(BaseStep):
        RETRIES = Retry(attempts=2)
        TIMEOUT = 60
        RESOURCES = Resources(cpu=1, memory="1GB")
        ON_FAILURE = tell

        def entrypoint(self) -> int:
            return 1

    made = Careful()
    assert (made.retries, made.timeout, made.on_failure) == (Retry(attempts=2), 60, tell)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"retries": -1}, "`retries` of the step 'plain' is -1, expected a Retry, or a number"),
        ({"timeout": 0}, "`timeout` of the step 'plain' is 0, expected seconds, more than 0"),
        ({"timeout": "5s"}, "`timeout` of the step 'plain' is '5s'"),
        ({"on_failure": 3}, "3 cannot be a hook of 'plain': expected a function that takes an `Ending`, or nothing"),
        ({"on_failure": lambda one, two: None}, "cannot be a hook of 'plain'"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_where_it_stands(options: dict[str, Any], message: str) -> None:
    with pytest.raises(StepInterfaceError, match=message):

        @step(**options)
        def plain() -> None: ...
