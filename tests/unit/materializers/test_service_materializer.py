"""Services as values."""

from pathlib import Path

import pytest

from tests.unit.services.daemons import Sleeper
from zenml.artifact_stores import LocalArtifactStore
from zenml.materializers.values import read_value, write_value
from zenml.services import BaseService, LocalDaemonServiceConfig


def test_a_service_is_found_and_controlled_by_whoever_reads_it(tmp_path: Path):
    store = LocalArtifactStore(name="store", path=tmp_path / "store")
    service = Sleeper(config=LocalDaemonServiceConfig(name="sleeper"))
    service.start(timeout=30)
    try:
        record = write_value("service", service, f"{store.path}/service", store)

        again = read_value(record, store, BaseService)

        assert record.artifact_type == "zenml.artifacts.artifact.ServiceArtifact"
        assert [entry.path for entry in record.manifest] == ["service.json"]
        assert type(again) is Sleeper
        assert again.uuid == service.uuid
        assert again.is_running
        again.stop(timeout=30)
        assert not service.is_running
    finally:
        service.stop(timeout=30)


def test_a_service_is_not_another_thing(tmp_path: Path):
    store = LocalArtifactStore(name="store", path=tmp_path / "store")
    record = write_value(
        "service", Sleeper(config=LocalDaemonServiceConfig(name="s")), f"{store.path}/service", store
    )

    with pytest.raises(
        TypeError, match="'service' holds a Sleeper, but a int is expected|ServiceMaterializer reads"
    ):
        read_value(record, store, int)
