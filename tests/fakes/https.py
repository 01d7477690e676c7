"""A small HTTPS server for fakes, with a certificate of an authority of its own."""

import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

Body = dict[str, Any]


@dataclass
class Asked:
    """A request; `form` is its query, and its body where that is a form."""

    method: str
    path: str
    form: dict[str, str]
    body: Body
    headers: Any


@dataclass
class Answer:
    """A document, or a text."""

    body: Body | str
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Fake:
    """Answers requests, one at a time, by the methods that are marked with `answers`."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, asked: Asked) -> Answer:
        with self.lock:
            for name in dir(type(self)):
                function = getattr(type(self), name)
                for method, pattern in getattr(function, "routes", ()):
                    match = pattern.fullmatch(asked.path)
                    if method == asked.method and match:
                        return function(self, asked, **match.groupdict())
        return Answer({"error": {"message": f"no route: {asked.method} {asked.path}"}}, 404)


def answers(method: str, path: str) -> Callable:
    """Mark a method: it answers requests to `path`, a regular expression whose named groups are its arguments."""

    def mark(function: Callable) -> Callable:
        function.routes = [*getattr(function, "routes", ()), (method, re.compile(path))]
        return function

    return mark


@contextmanager
def served(fake: Fake, folder: Path) -> Iterator[Path]:
    """Serve on a loopback port, `fake.url`; gives the file with the authority's certificate."""
    authority, chain = make_certificates(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        timeout = 60

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except (ConnectionError, ssl.SSLError):  # the client has gone
                self.close_connection = True

        def answer(self) -> None:
            url = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            form = {key: values[0] for key, values in parse_qs(url.query).items()}
            body: Body = {}
            if "form" in self.headers.get("Content-Type", ""):
                form |= {key: values[0] for key, values in parse_qs(content).items()}
            elif content:
                body = json.loads(content)
            answer = fake.answer(Asked(self.command, url.path, form, body, self.headers))
            is_text = isinstance(answer.body, str)
            data = answer.body.encode() if is_text else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            kind = "text/plain" if is_text else "application/json"
            for name, value in {**answer.headers, "Content-Type": kind}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815  http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self):
            connection, address = super().get_request()
            # The handshake belongs to the thread of the connection: this one accepts others meanwhile.
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust the certificate hangs up."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    server = Server(("127.0.0.1", 0), Handler)
    fake.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield authority
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_certificates(folder: Path) -> tuple[Path, Path]:
    """An authority's certificate, and a key with the certificate for 127.0.0.1 that the authority has signed."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.now(timezone.utc)

    def certificate(subject, issuer, key, signer, *extensions):
        builder = x509.CertificateBuilder(
            issuer_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)]),
            subject_name=x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)]),
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5),
            not_valid_after=now + timedelta(days=1),
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=True)
        signed = builder.sign(signer, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    signer, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, chain = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(
        certificate("Authority", "Authority", signer, signer, x509.BasicConstraints(ca=True, path_length=0))
    )
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    chain.write_bytes(pem + certificate("127.0.0.1", "Authority", key, signer, names))
    return authority, chain
