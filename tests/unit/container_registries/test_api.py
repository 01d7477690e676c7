"""Asking a registry that gives tokens, by a fake of as much of its interface as that takes."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from zenml.container_registries import DefaultContainerRegistry
from zenml.exceptions import ConfigurationError, StoreError

RIGHT = "Basic " + base64.b64encode(b"ann:right").decode()


@dataclass
class FakeRegistry:
    """It has the image team/zenml:1, for whoever brings a token for that repository."""

    port: int = 0
    open_to_all: bool = False
    scopes: list[str] = field(default_factory=list)

    def at(self, **fields: str) -> DefaultContainerRegistry:
        return DefaultContainerRegistry(name="r", uri=f"127.0.0.1:{self.port}/team", **fields)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    fake = FakeRegistry()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = parse_qs(urlsplit(self.path).query)["scope"][0]
            fake.scopes.append(scope)
            allowed = fake.open_to_all or self.headers.get("Authorization") == RIGHT
            self.answer(200 if allowed else 401, json.dumps({"token": scope}).encode())

        def do_HEAD(self) -> None:
            if self.headers.get("Authorization") != "Bearer repository:team/zenml:pull":
                self.answer(401)
            elif self.path == "/v2/team/zenml/manifests/1":
                self.answer(200)
            else:
                self.answer(500 if self.path.endswith("/broken") else 404)

        def answer(self, status: int, body: bytes = b"") -> None:
            self.send_response(status)
            if status == 401:
                realm = f'Bearer realm="http://127.0.0.1:{fake.port}/token",service="registry"'
                self.send_header("WWW-Authenticate", realm)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_token_is_asked_for_the_repository(fake: FakeRegistry):
    registry = fake.at(username="ann", password="right")
    assert registry.has_image(f"{registry.uri}/zenml:1")
    assert not registry.has_image(f"{registry.uri}/zenml:2")
    assert fake.scopes == 2 * ["repository:team/zenml:pull"]


def test_a_registry_that_everybody_may_read(fake: FakeRegistry):
    fake.open_to_all = True
    registry = fake.at()
    assert registry.has_image(f"{registry.uri}/zenml:1")


def test_a_registry_that_refuses(fake: FakeRegistry):
    registry = fake.at(username="ann", password="canary")
    with pytest.raises(
        StoreError, match="The container registry 'r' cannot be used: It refuses the user and the password"
    ) as caught:
        registry.has_image(f"{registry.uri}/zenml:1")
    assert "canary" not in str(caught.value)


def test_a_registry_that_is_broken(fake: FakeRegistry):
    registry = fake.at(username="ann", password="right")
    with pytest.raises(
        StoreError,
        match="/v2/team/zenml/manifests/broken answers with the status 500: is the uri of 'r' right?",
    ):
        registry.has_image(f"{registry.uri}/zenml:broken")


def test_a_registry_that_is_gone():
    registry = DefaultContainerRegistry(name="r", uri="127.0.0.1:1/team")
    with pytest.raises(StoreError, match="cannot be reached: "):
        registry.has_image(f"{registry.uri}/zenml:1")


@pytest.mark.parametrize("name", ["127.0.0.1:1/teams/image:1", "other.org/team/image:1", "image"])
def test_names_of_others(name: str):
    registry = DefaultContainerRegistry(name="r", uri="127.0.0.1:1/team")
    with pytest.raises(ConfigurationError, match="its name must begin with '127.0.0.1:1/team/'"):
        registry.has_image(name)
