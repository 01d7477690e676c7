"""The stack of a job is that of the deployment, over the connection by which the deployment was read."""

from pathlib import Path

from tests.graphs import UUID_OF_RUN, spec
from tests.housekeeping import MemoryArtifactStore
from zenml.io.remote import RemoteFiles
from zenml.jobs.tasks import packed_stack, read_document, stack_of_job, unpacked_store, write_document
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.model.deployment import Deployment
from zenml.model.records import FlavorRecord
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Stack


def test_a_job_connects_to_its_artifact_store_once(tmp_path: Path, monkeypatch) -> None:
    stack = Stack(
        "s",
        orchestrator=LocalOrchestrator(name="o"),
        artifact_store=MemoryArtifactStore(name="values", path="memory://jobs/store"),
        metadata_store=SQLiteMetadataStore(name="records", uri=str(tmp_path / "records.db")),
    )
    flavor = FlavorRecord(MemoryArtifactStore.TYPE, "memory", "tests.housekeeping.MemoryArtifactStore")
    deployment = Deployment("p", "r", UUID_OF_RUN, (spec("load"),), stack.to_spec([flavor]))
    path = write_document(deployment.to_document(), deployment, stack.artifact_store, "deployment.json")
    connected = []
    connect = RemoteFiles.__init__
    monkeypatch.setattr(
        RemoteFiles, "__init__", lambda *args, **kw: connected.append(1) or connect(*args, **kw)
    )
    store = unpacked_store([packed_stack(deployment.stack)])
    read = Deployment.from_document(read_document(path, store))
    there = stack_of_job(read, store)
    assert there.to_spec([flavor]) == stack.to_spec([flavor])
    assert there.artifact_store.exists(path)
    assert len(connected) == 1
