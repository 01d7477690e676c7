"""Why steps ran: each reason in the words that people read."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from zenml.exceptions import DoesNotExistException
from zenml.pipelines import pipeline
from zenml.post_execution import why
from zenml.post_execution.why import why_all
from zenml.repository import Repository
from zenml.steps import Cache, step


@step
def number(value: int = 1) -> int:
    return value


@step
def doubled(value: int) -> int:
    return 2 * value


def only(run, name):
    return why.why(run, name).reasons


def test_what_the_key_does_not_tell():
    old = step(cache=Cache(expires=timedelta(microseconds=1)))(number.entrypoint)
    never = step(enable_cache=False)(doubled.entrypoint)

    @pipeline
    def small():
        number()
        old(value=5)
        never(number())

    small().run()
    run = small().run()
    shutil.rmtree(Path(run.get_step("number").output.uri))
    run = small().run()

    assert only(run, "number")[0].startswith(
        "artifact 'output' is gone: its file 'data.json' is missing below "
    )
    assert only(run, "number_2") == ("the result is older than 1e-06 seconds",)
    assert only(run, "doubled") == ("caching is off for this step",)


def test_a_step_that_failed_is_tried_again():
    failing = [True]

    @step
    def shaky() -> int:
        if failing[0]:
            raise OSError("no luck")
        return 1

    @pipeline
    def small():
        doubled(shaky())

    with pytest.raises(OSError, match="no luck"):
        small().run()
    first = Repository().get_pipeline("small").runs[-1]
    assert only(first, "doubled") == ("it needs the step 'shaky', which has failed",)


def test_instances_of_a_mapped_step_are_explained_by_themselves():
    def mapped(values):
        @pipeline
        def spreading():
            doubled.map(value=values)

        return spreading().run()

    mapped([1, 2, 3])
    run = mapped([1, 5, 3])

    assert only(run, "doubled") == (
        "2 of 3 instances cached, 1 of 3 instances completed",
        "parameter value: 2 → 5",
    )
    assert only(run, "doubled[1]") == ("parameter value: 2 → 5",)
    assert only(run, "doubled[0]")[0].startswith("as in the run '")
    with pytest.raises(DoesNotExistException, match=r"has 3 instances, from \[0\] on"):
        why.why(run, "doubled[3]")
    with pytest.raises(DoesNotExistException, match="has no step 'trebled'"):
        why.why(run, "trebled")


def test_a_step_that_does_the_same_twice_says_so():
    @pipeline
    def small():
        number()
        number()

    assert [one.reasons for one in why_all(small().run())] == [
        ("first run of this step",),
        ("as the step 'number' of this run",),
    ]
