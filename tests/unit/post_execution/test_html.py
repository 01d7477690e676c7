"""Views as HTML, beyond what a notebook's test shows."""

from __future__ import annotations

import re

import pytest

from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.steps import step


@step
def first() -> int:
    return 1


@step
def following(value: int) -> int:
    return value + 1


@step
def failing(value: int) -> int:
    raise ValueError("<no>\nsecond line")


@step
def collect(values: list[int]) -> int:
    return sum(values)


@pipeline
def long() -> None:
    value = first()
    for _ in range(50):
        value = following(value)
    following(failing(value))


@pipeline
def broken() -> None:
    failing(first())


@step
def many(count: int = 30) -> list[int]:
    return list(range(count))


@pipeline
def wide() -> None:
    collect(following.map(many()))


def test_of_a_large_run_the_table_shows_what_went_wrong_first() -> None:
    with pytest.raises(ValueError, match="<no>"):
        long().run(run_name="monday")
    run = Repository().get_pipeline("long").runs[-1]  # type: ignore[union-attr]
    html = run._repr_html_()
    names = re.findall(r'<tr><td style="text-align:left">([^<]*)<', html)
    assert names[:3] == ["failing", "following_51", "first"]
    assert len(names) == 40
    assert "<svg" not in html
    assert "53 steps: 51 completed, 1 failed, 1 skipped. All: <code>zenml pipeline runs graph monday" in html


def test_a_failed_step_has_its_traceback() -> None:
    with pytest.raises(ValueError, match="<no>"):
        broken().run()
    html = Repository().get_pipeline("broken").runs[-1].get_step("failing")._repr_html_()  # type: ignore[union-attr]
    assert "ValueError: &lt;no&gt;\nsecond line<details><summary>traceback</summary><pre>Traceback" in html
    assert "raise ValueError(&quot;&lt;no&gt;\\nsecond line&quot;)" in html


def test_of_many_inputs_the_first_are_shown() -> None:
    html = wide().run().get_step("collect")._repr_html_()
    assert html.count(">input values[") == 20
    assert "and 10 more" in html


def test_of_many_runs_the_last_are_shown() -> None:
    for number in range(12):
        wide().run(run_name=f"run {number}")
    html = Repository().get_pipeline("wide")._repr_html_()  # type: ignore[union-attr]
    assert "<b>wide</b>: 12 runs, the last 10:" in html
    assert re.findall(r">(run \d+)<", html) == [f"run {number}" for number in range(11, 1, -1)]
