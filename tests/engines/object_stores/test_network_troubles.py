"""Object stores that cannot be reached: what `stack check` says, and that the remedy is one. Libraries take seconds to give up."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fakes.https import Fake, served
from zenml.artifact_stores import BaseArtifactStore
from zenml.enums import CheckOutcome
from zenml.integrations.azure.artifact_stores import AzureArtifactStore
from zenml.integrations.gcp.artifact_stores import GCPArtifactStore
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.stack.checks import check_components

WAIT = 60.0


def s3(url: str) -> S3ArtifactStore:
    return S3ArtifactStore(
        name="store", path="s3://bucket/x", endpoint_url=url, key="k", secret="{{env.ANY_SECRET}}"
    )


def gcp(url: str) -> GCPArtifactStore:
    return GCPArtifactStore(name="store", path="gs://bucket/x", endpoint_url=url, anonymous=True)


def azure(url: str) -> AzureArtifactStore:
    return AzureArtifactStore(
        name="store",
        path="az://bucket/x",
        endpoint_url=f"{url}/account",
        account_name="account",
        account_key="{{env.ANY_SECRET}}",
        options={"read_timeout": 2, "connection_timeout": 2},
    )


STORES: dict[str, Callable[[str], BaseArtifactStore]] = {"s3": s3, "gcp": gcp, "azure": azure}
each = pytest.mark.parametrize("make", STORES.values(), ids=STORES)


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANY_SECRET", "c2VjcmV0")


def said(store: BaseArtifactStore) -> str:
    """What the check of a store says about writing."""
    checks = {found.check.what: found.check for found in check_components({store.TYPE: store}, WAIT)}
    assert checks["writes"].outcome is CheckOutcome.FAILED
    return checks["writes"].message


@each
def test_nobody_answers(make: Callable[[str], BaseArtifactStore]) -> None:
    message = said(make("http://127.0.0.1:9"))
    assert "nothing answers at http://127.0.0.1:9" in message
    assert "`zenml artifact-store update store --endpoint_url=...`" in message


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[tuple[Fake, Path]]:
    """A server that knows nothing, and the certificate of the authority that has signed its own."""
    fake = Fake()
    with served(fake, tmp_path) as authority:
        yield fake, authority


@each
def test_a_certificate_that_nobody_trusts(
    make: Callable[[str], BaseArtifactStore], fake: tuple[Fake, Path]
) -> None:
    server, authority = fake
    message = said(make(server.url))
    assert f"the certificate of {server.url}" in message
    assert "is not trusted" in message
    variable = "AWS_CA_BUNDLE" if "AWS_CA_BUNDLE" in message else "SSL_CERT_FILE"
    assert variable in message

    # With what it advises, another process gets beyond the certificate.
    program = f"import {__name__} as this; print(this.said(this.{make.__name__}({server.url!r})))"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, variable: str(authority), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=True,
    )
    assert ended.stdout.strip()
    assert "certificate" not in ended.stdout


def test_a_server_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        message = said(azure(url))
    assert f"{url}/account did not answer in time." in message
    assert "--endpoint_url=..." in message
