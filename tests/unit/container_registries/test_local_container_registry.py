"""The registry on this machine: a real one."""

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from tests.services import accepts_connections, free_port
from zenml.container_registries import (
    BaseContainerRegistry,
    DefaultContainerRegistry,
    LocalContainerRegistry,
)
from zenml.enums import CheckOutcome
from zenml.exceptions import ProvisioningError
from zenml.testing import isolated_stack


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[LocalContainerRegistry]:
    if shutil.which("docker-registry") is None:
        pytest.skip("no program 'docker-registry': install Debian's docker-registry (make services)")
    registry = LocalContainerRegistry(name="images", uri=f"localhost:{free_port()}", path=str(tmp_path / "r"))
    yield registry
    if registry.is_provisioned:
        registry.deprovision()


BCRYPT_OF_RIGHT = "$2b$05$C6mj5q3Vqfu2S7nEeEqV1.LGBWdML/Glxw1gVoUmBN17MgJ9DWzWW"
BLOB = b"a layer"
DIGEST = "sha256:" + hashlib.sha256(BLOB).hexdigest()


def push(registry: LocalContainerRegistry) -> None:
    with urlopen(Request(f"http://{registry.uri}/v2/team/image/blobs/uploads/", method="POST")) as answer:
        place = answer.headers["Location"]
    headers = {"Content-Type": "application/octet-stream"}
    address = f"http://{registry.uri}{urlsplit(place).path}?{urlsplit(place).query}&digest={DIGEST}"
    with urlopen(Request(address, data=BLOB, method="PUT", headers=headers)) as answer:
        assert answer.status == 201


def pull(registry: LocalContainerRegistry) -> bytes:
    with urlopen(f"http://{registry.uri}/v2/team/image/blobs/{DIGEST}") as answer:
        return answer.read()


def failed(registry: BaseContainerRegistry) -> list[str]:
    return [check.what for check in registry.check() if check.outcome is CheckOutcome.FAILED]


def test_a_stack_starts_and_stops_it(registry: LocalContainerRegistry, tmp_path: Path) -> None:
    with isolated_stack(container_registry=registry) as stack:
        assert failed(registry) == ["running", "reachable"]
        stack.provision()
        stack.resume()
        assert failed(registry) == []
        push(registry)
        # What another process sees:
        seen = LocalContainerRegistry(name="images", uri=registry.uri, path=str(tmp_path / "r"))
        assert seen.is_running
        stack.suspend()
        assert (registry.is_provisioned, registry.is_running) == (True, False)
        stack.suspend()
        stack.resume()
        assert pull(registry) == BLOB
        stack.deprovision()
        assert not registry.is_provisioned
        assert list((tmp_path / "r").iterdir()) == []
        stack.deprovision()
        stack.provision()
        stack.resume()
        with pytest.raises(HTTPError, match="404"):
            pull(registry)


def test_a_port_that_is_taken(registry: LocalContainerRegistry, tmp_path: Path) -> None:
    registry.provision()
    registry.resume()
    second = LocalContainerRegistry(name="second", uri=registry.uri, path=str(tmp_path / "s"))
    second.provision()
    with pytest.raises(ProvisioningError, match="the port [0-9]+ is taken"):
        second.resume()
    assert not second.is_running
    second.deprovision()


def test_a_registry_with_passwords_is_logged_in_to(tmp_path: Path) -> None:
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("no program 'docker-registry': install Debian's docker-registry (make services)")
    port = free_port()
    (tmp_path / "htpasswd").write_text(f"ann:{BCRYPT_OF_RIGHT}\n")
    settings = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "images")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "here", "path": str(tmp_path / "htpasswd")}},
    }
    (tmp_path / "settings.yml").write_text(json.dumps(settings))
    server = subprocess.Popen(
        [program, "serve", str(tmp_path / "settings.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not accepts_connections(port) and server.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        nobody = DefaultContainerRegistry(name="r", uri=f"localhost:{port}")
        ann = nobody.updated({"username": "ann", "password": "right"})
        assert failed(nobody) == ["login"]
        assert failed(ann) == []
        assert failed(ann.updated({"password": "wrong"})) == ["login"]
    finally:
        server.terminate()
        server.wait()


def test_without_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ProvisioningError, match="apt-get install docker-registry"):
        LocalContainerRegistry(name="images").provision()
