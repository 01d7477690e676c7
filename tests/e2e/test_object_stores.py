"""A stack whose values lie in an object store: runs, hits, workers, logs; and what is said where the store cannot be used."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from tests.object_stores import BUCKET, S3Server
from zenml.exceptions import ArtifactStoreDeniedError, ArtifactStoreError
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import step

CANARY = "wrong-canary-value"


@step
def numbers(count: int = 3) -> list[int]:
    print("counting")  # noqa: T201 - for the log
    return list(range(count))


@step
def large(number: int) -> bytes:
    return bytes([number]) * 200_000


@step
def total(parts: list[bytes]) -> int:
    return sum(map(len, parts))


@pipeline
def adding():
    total(large.map(numbers()))


Use = Callable[..., S3ArtifactStore]


@pytest.fixture
def use(seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> Use:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("S3_SECRET", seaweedfs.password)
    monkeypatch.setenv("WRONG_SECRET", CANARY)

    def use_(**fields: object) -> S3ArtifactStore:
        usual = {
            "path": f"s3://{BUCKET}/{uuid4()}",
            "key": "admin",
            "secret": "{{env.S3_SECRET}}",
            "endpoint_url": seaweedfs.endpoint,
        }
        store = S3ArtifactStore(name="objects", **{**usual, **fields})
        repository = Repository()
        repository.register_stack(
            Stack(
                "remote",
                orchestrator=LocalOrchestrator(name="two", max_workers=2),
                metadata_store=repository.active_stack.metadata_store,
                artifact_store=store,
            )
        )
        repository.activate_stack("remote")
        return store

    return use_


def test_a_run_its_hits_its_logs_and_its_values(use: Use, home: Path) -> None:
    store = use()

    first = adding().run(run_name="first")
    again = adding().run(run_name="again")

    assert first.get_step("total").output.read() == 600_000
    assert "counting" in first.get_step("numbers").logs
    assert {found.status.value for found in again.steps} == {"cached"}
    kept = [file for file in (home / ".cache/zenml/artifacts").iterdir() if not file.name.startswith(".")]
    assert len(kept) == 3
    assert store.sizes(store.path)[".zenml-probe"] == 0


@pytest.mark.parametrize(
    ("fields", "class_", "message"),
    [
        ({"endpoint_url": "http://127.0.0.1:9"}, ArtifactStoreError, "nothing answers at http://127.0.0.1:9"),
        (
            {"secret": "{{env.WRONG_SECRET}}"},
            ArtifactStoreError,
            "the credentials are missing or not accepted",
        ),
        ({"key": "nobody"}, ArtifactStoreError, "the credentials are missing or not accepted"),
        ({"key": "reader"}, ArtifactStoreDeniedError, "access is denied"),
        ({"path": "s3://no-such-bucket"}, ArtifactStoreError, "The bucket 'no-such-bucket' does not exist"),
    ],
    ids=["refused", "secret", "key", "rights", "bucket"],
)
def test_a_store_that_cannot_be_used_fails_the_run_before_any_work(
    use: Use, fields: dict[str, str], class_: type[Exception], message: str
) -> None:
    use(**fields)

    with pytest.raises(class_, match=message) as caught:
        adding().run(run_name="failing")

    assert CANARY not in str(caught.value)
    run = Repository().get_pipeline("adding").get_run("failing")
    assert run.status.value == "failed"
    assert {found.status.value for found in run.steps} == {"skipped"}


def test_a_certificate_that_nobody_trusts_is_named(use: Use, seaweedfs: S3Server) -> None:
    use(endpoint_url=seaweedfs.https)

    with pytest.raises(ArtifactStoreError, match=r"the certificate of https://.* is not trusted"):
        adding().run()
