"""The artifact stores of clouds pass the suite, on real servers that speak their protocols."""

from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.object_stores import BUCKET, S3Server
from zenml.artifact_stores import BaseArtifactStore, FsspecArtifactStore
from zenml.exceptions import ArtifactStoreInterfaceError
from zenml.integrations.azure.artifact_stores import AzureArtifactStore
from zenml.integrations.gcp.artifact_stores import GCPArtifactStore
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.testing.conformance import ArtifactStoreConformance


class TestS3(ArtifactStoreConformance):
    cannot = {
        "odd names": "SeaweedFS takes a backslash for a slash",
        "forget folders": "SeaweedFS removes an empty folder some time later",
    }

    @pytest.fixture
    def store(self, seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> BaseArtifactStore:
        monkeypatch.setenv("S3_SECRET", seaweedfs.password)
        return S3ArtifactStore(
            name="store",
            path=f"s3://{BUCKET}/{uuid4()}/some/prefix",
            key="admin",
            secret="{{env.S3_SECRET}}",
            endpoint_url=seaweedfs.endpoint,
        )


class TestAzure(ArtifactStoreConformance):
    cannot = {"odd names": "the libraries for Azure change them, so that the store refuses them"}

    @pytest.fixture
    def store(self, azurite_connection: str, monkeypatch: pytest.MonkeyPatch) -> BaseArtifactStore:
        monkeypatch.setenv("AZURE_CONNECTION", azurite_connection)
        return AzureArtifactStore(
            name="store",
            path=f"az://{BUCKET}/{uuid4()}/some/prefix",
            connection_string="{{env.AZURE_CONNECTION}}",
        )


class TestGCP(ArtifactStoreConformance):
    @pytest.fixture
    def store(self, gcs_url: str) -> Iterator[BaseArtifactStore]:
        return GCPArtifactStore(
            name="store",
            path=f"gs://{BUCKET}/{uuid4()}/some/prefix",
            endpoint_url=gcs_url,
            anonymous=True,
        )


class TestFsspec(ArtifactStoreConformance):
    @pytest.fixture
    def store(self) -> BaseArtifactStore:
        return FsspecArtifactStore(name="store", path=f"memory://{uuid4()}/some/prefix")


@pytest.mark.parametrize("character", ["?", "\\", "\n"])
def test_a_name_that_azure_would_change_is_refused(character: str) -> None:
    store = AzureArtifactStore(name="store", path="az://container", account_name="x")

    with pytest.raises(ArtifactStoreInterfaceError, match="a name there has none of the characters"):
        store.open(f"az://container/a{character}b", "wb")
