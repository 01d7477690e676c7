"""Credentials of object stores: in a secret, ending soon, ended before a run or in the middle of one that is resumed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from uuid import uuid4

import pytest

from tests.fakes.expiring import Door, expiring
from tests.fakes.https import Answer, Asked, Fake, answers, served
from tests.object_stores import BUCKET, S3Server
from zenml.artifact_stores import BaseArtifactStore
from zenml.enums import CheckOutcome, ExecutionStatus
from zenml.exceptions import ArtifactStoreError, ConfigurationError, SecretError
from zenml.integrations.azure.artifact_stores import AzureArtifactStore
from zenml.integrations.gcp.artifact_stores import GCPArtifactStore
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.stack import Check
from zenml.stack.checks import check_components
from zenml.steps import step
from zenml.testing import isolated_stack
from zenml.testing.running import last_run

SECRET = "credentials"


@step
def count() -> int:
    return 3


@step
def double(number: int) -> int:
    return 2 * number


@step
def outlive(number: int) -> int:
    """Give back what only credentials that still count can write."""
    if "DOOR" in os.environ:
        Path(os.environ["DOOR"]).touch()
    return number


@pipeline
def doubling():
    double(count())


@pipeline
def outliving():
    double(outlive(count()))


def checked(store: BaseArtifactStore) -> dict[str, Check]:
    return {finding.check.what: finding.check for finding in check_components({store.TYPE: store})}


def run_with(store: BaseArtifactStore, secret: dict[str, str]) -> None:
    """Two steps in processes of their own, which find the secret themselves."""
    local = LocalOrchestrator(name="two", max_workers=2)
    with isolated_stack(orchestrator=local, artifact_store=store, secrets={SECRET: secret}) as stack:
        checks = {f.check.what: f.check.outcome for f in stack.check() if f.name == store.name}
        assert checks.get("writes") is checks.get("deletes") is CheckOutcome.OK
        run = doubling().run()
        assert run.get_step("double").output.read() == 6


# In a secret


def test_the_secret_of_an_s3_store(seaweedfs: S3Server) -> None:
    store = S3ArtifactStore(
        name="objects",
        path=f"s3://{BUCKET}/{uuid4()}",
        endpoint_url=seaweedfs.endpoint,
        authentication_secret=SECRET,
    )
    run_with(store, {"aws_access_key_id": "admin", "aws_secret_access_key": seaweedfs.password})


@pytest.fixture
def azure(azurite_connection: str) -> dict[str, str]:
    """What Azurite's connection string says."""
    return dict(part.split("=", 1) for part in azurite_connection.strip(";").split(";"))


def signature(azure: dict[str, str], hours: float) -> str:
    from azure.storage.blob import AccountSasPermissions, ResourceTypes, generate_account_sas

    now = datetime.now(timezone.utc)
    return generate_account_sas(
        azure["AccountName"],
        azure["AccountKey"],
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, write=True, delete=True, list=True, create=True),
        expiry=now + timedelta(hours=hours),
        start=now - timedelta(days=2),
    )


@pytest.mark.parametrize("kind", ["account_key", "sas_token"])
def test_the_secret_of_an_azure_store(kind: str, azure: dict[str, str]) -> None:
    content = {
        "account_key": azure["AccountKey"],
        "sas_token": signature(azure, hours=1000),
    }[kind]
    store = AzureArtifactStore(
        name="blobs",
        path=f"az://{BUCKET}/{uuid4()}",
        account_name="account",
        endpoint_url=azure["BlobEndpoint"],
        authentication_secret=SECRET,
    )
    run_with(store, {kind: content})


_AUDIENCE = "https://oauth2.googleapis.com/token"  # whatever the endpoint


class FakeTokens(Fake):
    """Google's endpoint for tokens: gives one for an assertion that the service account's key has signed."""

    def __init__(self, public_key: bytes) -> None:
        super().__init__()
        self.public_key = public_key
        self.asked = 0

    @answers("POST", "/token")
    def token(self, asked: Asked) -> Answer:
        from google.auth import jwt

        self.asked += 1
        try:
            jwt.decode(asked.form["assertion"], certs=self.public_key, audience=_AUDIENCE)
        except ValueError:
            refusal = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
            return Answer(refusal, 400)
        return Answer({"access_token": "given", "expires_in": 3600, "token_type": "Bearer"})


@pytest.fixture
def tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeTokens, dict[str, str]]]:
    """The endpoint, and the file of a service account that it knows."""
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    private = key.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    fake = FakeTokens(public)
    with served(fake, tmp_path) as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        account = {
            "type": "service_account",
            "project_id": "project",
            "client_email": "runs@project.example",
            "private_key_id": "1",
            "private_key": private.decode(),
            "token_uri": f"{fake.url}/token",
        }
        yield fake, account


def gcp_store(gcs_url: str) -> GCPArtifactStore:
    return GCPArtifactStore(
        name="google", path=f"gs://{BUCKET}/{uuid4()}", endpoint_url=gcs_url, authentication_secret=SECRET
    )


def test_the_secret_of_a_gcp_store(gcs_url: str, tokens: tuple[FakeTokens, dict[str, str]]) -> None:
    fake, account = tokens
    run_with(gcp_store(gcs_url), {"token": json.dumps(account)})
    assert fake.asked


def test_a_service_account_that_google_does_not_know_any_more(
    gcs_url: str, tokens: tuple[FakeTokens, dict[str, str]]
) -> None:
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa

    fake, account = tokens
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    fake.public_key = other.public_bytes(s.Encoding.PEM, s.PublicFormat.SubjectPublicKeyInfo)
    secret = {"token": json.dumps(account)}
    with (
        isolated_stack(artifact_store=gcp_store(gcs_url), secrets={SECRET: secret}),
        pytest.raises(ArtifactStoreError, match="the credentials are missing or not accepted") as caught,
    ):
        doubling().run()
    assert account["private_key"] not in str(caught.value)
    assert "--authentication_secret=..." in str(caught.value)


def test_a_secret_that_is_missing(seaweedfs: S3Server) -> None:
    store = S3ArtifactStore(
        name="objects",
        path=f"s3://{BUCKET}/x",
        endpoint_url=seaweedfs.endpoint,
        authentication_secret="absent",
    )
    with isolated_stack(artifact_store=store, secrets={SECRET: {"a": "b"}}):
        with pytest.raises(SecretError) as caught:
            doubling().run()
        assert str(caught.value) == (
            "'{{absent.aws_access_key_id}}' cannot be resolved: The secrets manager 'default' has no secret 'absent'. "
            "Known: 'credentials'. Register it with `zenml secret register absent --KEY=VALUE`."
        )
        assert {str(found.status) for found in last_run().steps} == {"skipped"}


def test_credentials_are_given_in_one_way() -> None:
    with pytest.raises(
        ConfigurationError, match="authentication_secret holds the credentials: leave out key"
    ):
        S3ArtifactStore(name="s", path="s3://b", key="k", secret="{{env.S}}", authentication_secret="other")


# That end


@pytest.mark.parametrize(
    ("hours", "outcome", "message"),
    [
        (1000, CheckOutcome.OK, ""),
        (3, CheckOutcome.WARNING, "Valid for 3.0 hours only."),
        (-1, CheckOutcome.FAILED, "The end of what is valid is past."),
    ],
)
def test_a_check_says_when_a_shared_access_signature_ends(
    azure: dict[str, str], hours: float, outcome: CheckOutcome, message: str
) -> None:
    text = f"BlobEndpoint={azure['BlobEndpoint']};SharedAccessSignature={signature(azure, hours)};"
    for fields in (
        {"connection_string": text},
        {
            "account_name": "account",
            "sas_token": signature(azure, hours),
            "endpoint_url": azure["BlobEndpoint"],
        },
    ):
        checks = checked(AzureArtifactStore(name="blobs", path=f"az://{BUCKET}/{uuid4()}", **fields))
        assert (checks["credentials"].outcome, checks["credentials"].message) == (outcome, message)
        assert (checks["writes"].outcome is CheckOutcome.FAILED) == (hours < 0)
        if hours < 0:
            assert "the credentials have expired: get new ones" in checks["writes"].message
            assert "sig=" not in checks["writes"].message


def test_a_check_says_when_credentials_of_the_environment_end(
    seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now(timezone.utc) + timedelta(hours=3)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "admin")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweedfs.password)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", end.isoformat().replace("+00:00", "Z"))
    usual = {"name": "s", "path": f"s3://{BUCKET}/{uuid4()}", "endpoint_url": seaweedfs.endpoint}
    found = checked(S3ArtifactStore(**usual))
    assert found["credentials"].message == "Valid for 3.0 hours only."
    assert found["deletes"].outcome is CheckOutcome.OK
    own = checked(S3ArtifactStore(**usual, key="admin", secret=seaweedfs.password))
    assert "credentials" not in own


@pytest.fixture
def door(seaweedfs: S3Server, tmp_path: Path) -> Iterator[Door]:
    """What is in front of SeaweedFS."""
    with expiring(seaweedfs.endpoint, tmp_path) as door:
        yield door


@pytest.fixture
def store(door: Door, seaweedfs: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3ArtifactStore:
    monkeypatch.setenv("S3_SECRET", seaweedfs.password)
    return S3ArtifactStore(
        name="objects",
        path=f"s3://{BUCKET}/{uuid4()}",
        endpoint_url=door.url,
        key="admin",
        secret="{{env.S3_SECRET}}",
    )


def test_credentials_that_expire_in_the_middle_of_a_run_which_is_resumed(
    store: S3ArtifactStore, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR", str(door.expired))
    with isolated_stack(artifact_store=store):
        with pytest.raises(ArtifactStoreError) as caught:
            outliving().run(run_name="first")
        assert "the credentials have expired: get new ones." in str(caught.value)
        assert "`zenml artifact-store update objects --key=... --secret=...`" in str(caught.value)
        run = last_run()
        assert run.status is ExecutionStatus.FAILED
        assert {found.name: str(found.status) for found in run.steps} == {
            "count": "completed",
            "outlive": "failed",
            "double": "skipped",
        }
        checks = checked(store)
        assert checks["writes"].outcome is CheckOutcome.FAILED
        assert "the credentials have expired" in checks["writes"].message

        monkeypatch.delenv("DOOR")
        door.expired.unlink()
        resumed = outliving().resume("first")
        assert resumed.get_step("double").output.read() == 6
        assert {found.name: str(found.status) for found in resumed.steps} == {
            "count": "cached",
            "outlive": "completed",
            "double": "completed",
        }


def test_credentials_that_have_expired_before_a_run(store: S3ArtifactStore, door: Door) -> None:
    door.expired.touch()
    with isolated_stack(artifact_store=store):
        with pytest.raises(ArtifactStoreError, match="the credentials have expired: get new ones"):
            doubling().run()
        run = last_run()
        assert run.status is ExecutionStatus.FAILED
        assert {str(found.status) for found in run.steps} == {"skipped"}
