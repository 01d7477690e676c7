from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml.exceptions import StepInterfaceError
from zenml.model.deployment import ResourceSpec, RetrySpec
from zenml.steps import Resources, Retry
from zenml.steps.resources import size_in_bytes


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4_000_000_000),
        ("4GiB", 4 * 2**30),
        ("4Gi", 4 * 2**30),
        ("1.5 kB", 1500),
        ("512M", 512_000_000),
        ("10", 10),
        ("10B", 10),
        (7, 7),
        (None, None),
    ],
)
def test_sizes(text: Any, size: int | None) -> None:
    assert size_in_bytes(text) == size


@given(st.integers(0, 2**50))
def test_a_number_is_bytes(number: int) -> None:
    assert size_in_bytes(number) == size_in_bytes(str(number)) == number


@pytest.mark.parametrize("text", ["", "GB", "-1", "4 G B", "1e9", "four", -1, True, 1.5])
def test_what_is_no_size(text: Any) -> None:
    with pytest.raises(StepInterfaceError, match="expected a number of bytes, or text like '4GB'"):
        Resources(memory=text)


def test_resources_as_data() -> None:
    given = Resources(cpu=0.5, memory="1GB", gpu=1, custom={"license": 2})
    assert given.spec() == ResourceSpec(0.5, 1_000_000_000, 1, {"license": 2})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cpu": -1}, "'cpu' of Resources is -1, expected a number, 0 or more"),
        ({"gpu": 0.5}, "'gpu' of Resources is 0.5, expected a whole number"),
        ({"custom": {"license": "two"}}, "'license' of Resources is 'two'"),
    ],
)
def test_numbers_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(StepInterfaceError, match=message):
        Resources(**options)


def test_retries_as_data() -> None:
    on = ("builtins.ConnectionError", "builtins.TimeoutError")
    assert Retry(attempts=2, on=(ConnectionError, TimeoutError)).spec() == RetrySpec(2, 0.0, 2.0, 300.0, on)
    assert Retry(on=OSError).on == (OSError,)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempts": 0}, "'attempts' of Retry is 0, expected 1 or more"),
        ({"backoff": 0.5}, "'backoff' of Retry is 0.5, expected a number, 1 or more"),
        ({"delay": -1}, "'delay' of Retry is -1"),
        ({"on": (int,)}, "'on' of Retry names <class 'int'>, expected classes of exceptions"),
    ],
)
def test_what_no_retry_can_mean(options: dict[str, Any], message: str) -> None:
    with pytest.raises(StepInterfaceError, match=message):
        Retry(**options)
