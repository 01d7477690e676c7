"""A server in front of another one that passes requests on, until the credentials are said to have expired."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

# As Amazon S3 answers: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
_EXPIRED = b"""<?xml version="1.0" encoding="UTF-8"?>
<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message><RequestId>1</RequestId></Error>"""

_OWN = ("transfer-encoding", "content-length", "connection", "expect")
"""Headers that each of two connections has itself."""


@dataclass
class Door:
    """Where to ask. Every request is refused while the file is there."""

    url: str
    expired: Path


@contextmanager
def expiring(server: str, folder: Path) -> Iterator[Door]:
    """Signatures hold as they are: the server gets the name of the host that they were made for."""
    place = {"behind": urlsplit(server).netloc, "expired": folder / "expired"}
    front = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), place))
    front.daemon_threads = True
    thread = threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield Door(f"http://127.0.0.1:{front.server_port}", folder / "expired")
    finally:
        front.shutdown()
        thread.join()
        front.server_close()


class _Handler(BaseHTTPRequestHandler):
    behind: ClassVar[str]
    expired: ClassVar[Path]
    protocol_version = "HTTP/1.1"
    timeout = 60

    def pass_on(self) -> None:
        content = self._content()
        if self.expired.exists():
            self._answer(400, {"Content-Type": "application/xml"}, _EXPIRED)
            return
        with closing(HTTPConnection(self.behind, timeout=30)) as connection:
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in _OWN:
                    connection.putheader(name, value)
            connection.putheader("Content-Length", str(len(content)))
            connection.endheaders(content)
            answer = connection.getresponse()
            kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN}
            if self.command == "HEAD":
                kept["Content-Length"] = answer.getheader("Content-Length", "0")
            self._answer(answer.status, kept, answer.read())

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = pass_on  # noqa: N815  http.server's names

    def _content(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
