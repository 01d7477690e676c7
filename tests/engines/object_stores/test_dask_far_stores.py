"""A Dask cluster with stores on a network, PostgreSQL and an object store, one of whose workers is killed in the middle of a run."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import make_url

from tests.dask_cluster import DaskCluster, dask_cluster
from tests.object_stores import BUCKET, S3Server
from zenml.enums import ExecutionStatus
from zenml.integrations.dask.orchestrators import DaskOrchestrator
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.metadata_stores import PostgreSQLMetadataStore
from zenml.pipelines import pipeline
from zenml.stack import Stack
from zenml.steps import step
from zenml.testing import isolated_stack

SECONDS = 60


@step
def numbers(count: int) -> list[int]:
    return list(range(count))


@step
def large(number: int) -> bytes:
    return bytes([number]) * 200_000


@step(enable_cache=False)
def held(parts: list[bytes], folder: str) -> int:
    """Say which process this one is, and wait for the file that lets go."""
    place = Path(folder)
    (place / f"held.{os.getpid()}").touch()
    deadline = time.monotonic() + SECONDS
    while not (place / "go").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return sum(map(len, parts))


@step
def half(number: int) -> int:
    return number // 2


@pipeline
def holding(folder: str):
    half(held(large.map(numbers(5)), folder=folder))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    with dask_cluster(tmp_path, workers=2) as cluster:
        yield cluster


@pytest.fixture
def stack(
    cluster: DaskCluster,
    seaweedfs: S3Server,
    postgresql_database: str,
    tmp_path: Path,
) -> Iterator[Stack]:
    database = make_url(postgresql_database)
    secrets = {
        "objects": {"aws_access_key_id": "admin", "aws_secret_access_key": seaweedfs.password},
        "database": {"password": str(database.password)},
    }
    with isolated_stack(
        tmp_path / "world",
        secrets=secrets,
        orchestrator=DaskOrchestrator(name="dask", address=cluster.address),
        artifact_store=S3ArtifactStore(
            name="objects",
            path=f"s3://{BUCKET}/{uuid4()}",
            endpoint_url=seaweedfs.endpoint,
            authentication_secret="objects",
        ),
        metadata_store=PostgreSQLMetadataStore(
            name="database",
            host=str(database.host),
            port=database.port or 5432,
            database=str(database.database),
            username=database.username,
            password="{{database.password}}",
        ),
    ) as stack:
        yield stack


def test_a_killed_worker_is_survived_and_everything_is_found_again(
    cluster: DaskCluster, stack: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "held"
    folder.mkdir()

    def holders(count: int) -> list[int]:
        deadline = time.monotonic() + SECONDS
        while len(found := [int(path.suffix[1:]) for path in folder.glob("held.*")]) < count:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return found

    def kill() -> None:
        (process,) = holders(1)
        cluster.worker_of(process).kill()
        holders(2)
        (folder / "go").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    run = holding(folder=str(folder)).run()
    killer.join()

    assert run.status is ExecutionStatus.COMPLETED
    assert run.get_step("half").output.read() == 500_000
    attempts = stack.metadata_store.attempts(run.get_step("held").id)
    assert [str(attempt.status) for attempt in attempts] == ["crashed", "completed"]
    again = holding(folder=str(folder)).run()
    assert {found.name: str(found.status) for found in again.steps} == {
        "numbers": "cached",
        "large": "cached",
        "held": "completed",
        "half": "cached",
    }
