"""What is decided about a step before it runs."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.engine.decisions import Decisions, Miss, span
from zenml.materializers.values import write_value
from zenml.model.deployment import Deployment, StackSpec, StepSpec
from zenml.model.runs import CachedResult, CacheKey

KEY = CacheKey("k", {"code main": "1"})
STEP = StepSpec("train", "project:train", "train")


class Results:
    """A metadata store that knows results by key, and counts how often it is asked."""

    def __init__(self, recent=None, latest=None):
        self.recent, self.latest, self.asked = recent or {}, latest or {}, []

    def recent_results(self, pipeline, store):
        self.asked.append(pipeline)
        return self.recent

    def find_results(self, digests, store):
        self.asked.append(tuple(digests))
        return {digest: self.latest[digest] for digest in digests if digest in self.latest}


@pytest.fixture
def files(tmp_path):
    return LocalArtifactStore(name="files", path=tmp_path / "values")


@pytest.fixture
def result(files):
    value = write_value("model", [1.5], f"{files.path}/runs/1/train.1/model", files)
    return CachedResult(7, (value,), ended=time.time())


def decisions(files, results, *, verify="present", known=None, steps=(STEP,)):
    deployment = Deployment("training", "run", uuid4(), steps, StackSpec("stack", {}), verify=verify)
    return Decisions(deployment, SimpleNamespace(artifact_store=files, metadata_store=results), known)


def file_of(result):
    (artifact,) = result.artifacts
    return Path(artifact.uri, artifact.manifest[0].path)


def test_what_was_prefetched_is_asked_for_no_more(files, result):
    results = Results(recent={"k": result})
    made = decisions(files, results)
    made.prefetch()

    assert made.decide(STEP, KEY) is result
    assert results.asked == ["training"]


def test_a_result_of_elsewhere_is_found(files, result):
    made = decisions(files, Results(latest={"k": result}))

    assert made.decide(STEP, KEY) is result


def test_a_new_key_needs_no_reason(files):
    assert decisions(files, Results()).decide(STEP, KEY) == Miss(None)


def test_where_no_step_caches_nothing_is_asked(files, result):
    step = replace(STEP, enable_cache=False)
    results = Results(recent={"k": result}, latest={"k": result})
    made = decisions(files, results, steps=(step,))
    made.prefetch()

    assert made.decide(step, KEY) == Miss("caching is off for this step")
    assert results.asked == []


def test_a_file_that_is_gone_is_the_reason(files, result):
    made = decisions(files, Results(latest={"k": result}))
    file_of(result).unlink()

    miss = made.decide(STEP, KEY)
    assert miss.reason.startswith(
        f"artifact 'model' is gone: its file {file_of(result).name!r} is missing below "
    )


def test_a_file_of_another_size_is_the_reason(files, result):
    made = decisions(files, Results(latest={"k": result}))
    file_of(result).write_bytes(b"")

    assert "artifact 'model' was changed: " in made.decide(STEP, KEY).reason


def test_only_a_full_verification_reads_the_content(files, result):
    content = bytearray(file_of(result).read_bytes())
    content[0] ^= 1
    file_of(result).write_bytes(content)
    results = Results(latest={"k": result})

    assert decisions(files, results).decide(STEP, KEY) is result
    reason = decisions(files, results, verify="full").decide(STEP, KEY).reason
    assert reason.startswith("verification failed: The artifact 'model' is corrupted")


def test_a_result_that_is_gone_gives_way_to_a_later_one(files, result):
    later = CachedResult(9, (write_value("model", [1.5], f"{files.path}/runs/2/train.1/model", files),))
    made = decisions(files, Results(recent={"k": result}, latest={"k": later}))
    made.prefetch()
    file_of(result).unlink()

    assert made.decide(STEP, KEY) is later


def test_a_result_expires(files, result):
    step = replace(STEP, expires_after=7 * 86400.0)
    old = replace(result, ended=time.time() - 8 * 86400)

    assert decisions(files, Results(latest={"k": result})).decide(step, KEY) is result
    assert decisions(files, Results(latest={"k": old})).decide(step, KEY) == Miss(
        "the result is older than 7 days"
    )


def test_what_the_origin_of_a_run_has_wins(files, result):
    step = replace(STEP, expires_after=1.0, enable_cache=False)
    old = replace(result, ended=0.0)
    results = Results()

    assert decisions(files, results, known={"k": old}).decide(step, KEY) is old
    assert results.asked == []
    file_of(old).unlink()
    assert "is gone" in decisions(files, results, known={"k": old}).decide(step, KEY).reason


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7 * 86400, "7 days"), (5400, "1 hour 30 minutes"), (1, "1 second"), (0.25, "0.25 seconds")],
)
def test_spans_are_said_in_words(seconds, words):
    assert span(seconds) == words
