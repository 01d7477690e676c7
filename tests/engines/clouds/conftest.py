"""What the step operators of clouds have in common: stores that are reached by the network, and images that are not built."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import remote_secrets
from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE, remote_components
from tests.object_stores import S3Server
from zenml.stack import StackComponent


@pytest.fixture(scope="module")
def moto_url() -> Iterator[str]:
    with remote_secrets.moto() as url:
        yield url


@pytest.fixture
def remote(
    moto_url: str,
    seaweedfs: S3Server,
    postgresql_database: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> dict[str, StackComponent]:
    """Components by type. The fakes run no images, so none is built; tests/engines/images builds and runs them."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("zenml.images.build.build_images", lambda deployment, stack: {"step_operator": IMAGE})
    return remote_components(moto_url, seaweedfs, postgresql_database)
