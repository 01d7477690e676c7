"""What the check of a component says when something is wrong. That it passes when nothing is, is a duty of every suite."""

import base64
import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, inspect, make_url

from tests.conftest import MailServer
from tests.metadata_stores import apart, server_store
from tests.object_stores import BUCKET, S3Server
from tests.services import free_port
from zenml.alerters import BaseAlerter
from zenml.alerters.email_alerter import EmailAlerter
from zenml.artifact_stores import LocalArtifactStore
from zenml.container_registries import DefaultContainerRegistry
from zenml.enums import CheckOutcome, StackComponentType
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.orchestrators import LocalOrchestrator
from zenml.secrets_managers import LocalSecretsManager
from zenml.stack import Check, Stack, StackComponent
from zenml.stack.checks import LARGEST_SKEW, check_clock, check_components, check_expiry
from zenml.stack.flavors import find_flavor, load_flavor
from zenml.testing import isolated_stack

OK, WARNING, FAILED = CheckOutcome.OK, CheckOutcome.WARNING, CheckOutcome.FAILED


def found(component: StackComponent) -> dict[str, Check]:
    """The checks of a component, as a stack makes them, by their names."""
    return {finding.check.what: finding.check for finding in check_components({component.TYPE: component})}


def outcomes(checks: dict[str, Check]) -> dict[str, CheckOutcome]:
    return {name: check.outcome for name, check in checks.items()}


# Artifact stores


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks = found(LocalArtifactStore(name="a", path=str(tmp_path / "file" / "values")))
    assert outcomes(checks) == {"running": OK, "writes": FAILED}
    assert "Not a directory" in checks["writes"].message
    assert (
        checks["writes"].remedy == f"May this user write below '{tmp_path}/file/values', and is there room?"
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"secret": "canary-canary"}, "the credentials are missing or not accepted"),
        ({"path": "s3://no-such-bucket/x"}, "The bucket 'no-such-bucket' does not exist"),
        ({"key": "reader"}, "access is denied"),
        ({"endpoint_url": "https"}, "is not trusted"),
    ],
)
def test_an_object_store_that_does_not_let_us_in(
    seaweedfs: S3Server, changes: dict[str, str], said: str
) -> None:
    fields = {"path": f"s3://{BUCKET}/check", "key": "admin", "secret": seaweedfs.password}
    if "endpoint_url" in changes:
        changes = {"endpoint_url": seaweedfs.https}
    store = S3ArtifactStore(name="s", **{**fields, "endpoint_url": seaweedfs.endpoint, **changes})
    checks = found(store)
    assert outcomes(checks) == {"packages": OK, "running": OK, "writes": FAILED}
    assert said in checks["writes"].message
    assert seaweedfs.password not in checks["writes"].message
    assert "canary" not in checks["writes"].message


class Forgetful(LocalArtifactStore):
    def listdir(self, path: str) -> list[str]:
        return []

    def rmtree(self, path: str) -> None:
        raise PermissionError(13, "Permission denied", path)


def test_a_store_that_lists_and_removes_nothing(tmp_path: Path) -> None:
    checks = found(Forgetful(name="a", path=str(tmp_path)))
    assert [name for name, outcome in outcomes(checks).items() if outcome is FAILED] == ["lists", "deletes"]
    assert checks["lists"].message == "A file that was written is not in the listing of its folder."
    assert checks["deletes"].message.startswith(f"Permission denied: {tmp_path}/.check-")
    assert "may be left" in checks["deletes"].remedy


class Late(LocalArtifactStore):
    def stat(self, path: str) -> object:
        return {"size": 1, "LastModified": datetime.now(timezone.utc) - timedelta(seconds=90)}


def test_a_clock_that_is_behind(tmp_path: Path) -> None:
    clock = found(Late(name="a", path=str(tmp_path)))["clock"]
    assert (clock.outcome, clock.message) == (
        WARNING,
        "Its clock is 90 seconds behind the one of this machine.",
    )


@given(now=st.floats(0, 2e9), took=st.floats(0, 30), skew=st.floats(-100, 100), inside=st.floats(0, 1))
def test_no_clock_is_blamed_for_how_long_the_question_took(
    now: float, took: float, skew: float, inside: float
) -> None:
    before, after = now, now + took
    theirs = before + inside * took + skew
    check = check_clock(theirs, before, after)
    if abs(skew) <= LARGEST_SKEW:
        assert check.outcome is OK or abs(skew) > LARGEST_SKEW - 1e-6
    if check.outcome is WARNING:
        assert ("ahead" in check.message) == (theirs > after)


@given(left=st.floats(-1e7, 1e8))
def test_what_ends_soon_is_told(left: float) -> None:
    check = check_expiry(time.time() + left)
    week = 7 * 24 * 3600
    if left > week + 60:
        assert check.outcome is OK
    elif 60 < left < week:
        assert check.outcome is WARNING
    elif left < 0:
        assert check.outcome is FAILED


# Metadata stores


@pytest.fixture(params=["postgresql", "mariadb"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_database"))


def test_a_wrong_password_is_told_and_not_shown(database: str) -> None:
    checks = found(server_store(database, password="canary-in-the-mine"))
    assert outcomes(checks) == {"running": OK, "opens": FAILED}
    message = checks["opens"].message
    assert "are its address, the user name, the password and the database right?" in message
    assert "canary" not in message


def test_a_server_that_is_down(database: str) -> None:
    store = server_store(database, port=free_port())
    message = found(store)["opens"].message
    assert "Is the server running" in message
    assert f"127.0.0.1:{store.port}" in message


def test_a_server_says_its_version_and_its_time(database: str) -> None:
    checks = found(server_store(database))
    assert checks["opens"].message.split()[0] in ("postgresql", "mariadb")
    assert checks["schema"].message == "there are no tables yet: they are made at the first use"
    assert set(outcomes(checks).values()) == {OK}
    assert "clock" in checks
    engine = create_engine(database)
    assert inspect(engine).get_table_names() == []
    engine.dispose()


@pytest.mark.parametrize("name", ["postgresql", "mariadb"])
def test_a_missing_driver(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    store = server_store(str(request.getfixturevalue(f"{name}_database")))
    driver = {"postgresql": "psycopg", "mariadb": "pymysql"}[name]
    monkeypatch.setitem(sys.modules, driver, None)
    checks = found(store)
    assert checks["opens"].outcome is FAILED
    assert f"pip install '{driver}" in checks["opens"].message


def change_revision(url: str, revision: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"UPDATE zenml_metadata_version SET version_num = '{revision}', zenml_version = '7.0'"  # noqa: S608 - ours
        )
    engine.dispose()


def test_a_schema_of_the_future_and_one_of_the_past(database: str, tmp_path: Path) -> None:
    servers = server_store(database)
    own = SQLiteMetadataStore(name="own", uri=str(tmp_path / "metadata.db"))
    for store, url in ((servers, database), (own, f"sqlite:///{tmp_path}/metadata.db")):
        store.runs()
        store._database.write(lambda tx: None)
        change_revision(url, "9999")
        checks = found(apart(store))
        assert checks["schema"].outcome is FAILED
        assert "It has the revision '9999', written by zenml 7.0" in checks["schema"].message
        assert checks["schema"].remedy.startswith("Update zenml here")
        assert "writes" not in checks
        change_revision(url, "0001")
        checks = found(apart(store))
        assert checks["schema"].outcome is WARNING
        assert "'0001'" in checks["schema"].message
        assert checks["writes"].outcome is OK


def test_a_user_who_may_only_read_and_whose_password_ends(postgresql_database: str) -> None:
    store = server_store(postgresql_database)
    store._database.write(lambda tx: None)
    url = make_url(postgresql_database)
    engine = create_engine(url)
    user = f"reader_{os.getpid()}_{time.monotonic_ns()}"
    end = datetime.now(timezone.utc) + timedelta(hours=30)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE ROLE {user} LOGIN PASSWORD 'reading' VALID UNTIL '{end.isoformat()}'"
        )
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}")
    try:
        checks = found(server_store(postgresql_database, username=user, password="reading"))
        assert checks["schema"].outcome is OK
        assert checks["writes"].outcome is FAILED
        assert "permission denied for table zenml_pipelines" in checks["writes"].message
        assert (checks["credentials"].outcome, checks["credentials"].message) == (
            WARNING,
            "Valid for 30.0 hours only.",
        )
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(f"DROP OWNED BY {user}")
            connection.exec_driver_sql(f"DROP ROLE {user}")
        engine.dispose()


def test_a_certificate_that_ends_soon(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ann")])
    path = tmp_path / "client.pem"
    for days, outcome in ((400, OK), (3, WARNING), (-1, FAILED)):
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=9))
            .not_valid_after(now + timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        store = server_store(f"mysql+pymysql://ann:x@127.0.0.1:{free_port()}/runs", ssl_cert=str(path))
        assert found(store)["certificate"].outcome is outcome
    path.write_text("no certificate")
    broken = found(server_store("postgresql+psycopg://ann:x@127.0.0.1:9/runs", sslcert=str(path)))[
        "certificate"
    ]
    assert broken.outcome is FAILED
    assert broken.remedy == f"Is '{path}' the file of a certificate in the format PEM?"


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "metadata.db").write_text("dear diary, " * 100)
    checks = found(SQLiteMetadataStore(name="own", uri=str(tmp_path / "metadata.db")))
    assert checks["opens"].outcome is FAILED
    assert "file is not a database" in checks["opens"].message


def test_a_folder_for_the_file_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    checks = found(SQLiteMetadataStore(name="own", uri=str(tmp_path / "file" / "metadata.db")))
    assert checks["folder"].outcome is FAILED
    assert f"'{tmp_path}/file' is no folder" in checks["folder"].message


# Secrets, packages, alerters


def test_secrets_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "secrets").write_text("no secrets")
    checks = found(LocalSecretsManager(name="s", secrets_file=str(tmp_path / "secrets")))
    assert checks["lists"].outcome is FAILED


def test_a_reference_that_stands_for_nothing() -> None:
    checks = found(DefaultContainerRegistry(name="r", uri="{{env.NO_SUCH_VARIABLE}}"))
    assert checks["references"].outcome is FAILED
    assert "NO_SUCH_VARIABLE" in checks["references"].message


class Demanding(LocalOrchestrator):
    @property
    def requirements(self) -> set[str]:
        return {"no-such-package>=2", "pydantic>=2"}


def test_packages_that_are_not_there() -> None:
    packages = found(Demanding(name="o"))["packages"]
    assert packages == Check(
        "packages",
        FAILED,
        "Requirements are not met: no-such-package>=2.",
        "Install them with `pip install 'no-such-package>=2'`.",
    )


def test_no_message_is_sent(smtp_server: MailServer) -> None:
    alerter = EmailAlerter(
        name="mail",
        host=smtp_server.host,
        port=smtp_server.port,
        encryption="none",
        sender="a@example.org",
        recipients=["b@example.org"],
    )
    assert set(outcomes(found(alerter)).values()) == {OK}
    assert smtp_server.messages == []


def test_everything_that_is_local_is_in_order(tmp_path: Path) -> None:
    components = {
        type_.value: load_flavor(find_flavor(type_, flavor))(name="mine", **fields)
        for type_, flavor, fields in (
            (StackComponentType.MODEL_DEPLOYER, "local", {}),
            (StackComponentType.FEATURE_STORE, "local", {"path": str(tmp_path / "features")}),
            (StackComponentType.EXPERIMENT_TRACKER, "local", {}),
            (StackComponentType.DATA_VALIDATOR, "local", {}),
            (StackComponentType.SECRETS_MANAGER, "local", {}),
            (StackComponentType.STEP_OPERATOR, "venv", {}),
            (StackComponentType.ALERTER, "webhook", {"url": "{{hook.url}}"}),
        )
    }
    with isolated_stack(secrets={"hook": {"url": "https://canary.example.org/hook"}}, **components) as stack:
        findings = stack.check()
    assert {finding.type for finding in findings} >= {*stack.components, None}
    assert [finding for finding in findings if finding.check.outcome is not OK] == []
    assert "references" in {f.check.what for f in findings if f.type is StackComponentType.ALERTER}
    assert "canary" not in repr(findings)


# Components that stop answering


class Hanging(BaseAlerter):
    FLAVOR: ClassVar[str] = "hanging"
    _forever: ClassVar[threading.Event] = threading.Event()

    def post(self, message: str, config: object = None) -> bool:
        return False

    def check(self) -> Iterator[Check]:
        yield Check("begins")
        self._forever.wait()


def test_one_that_hangs_does_not_keep_the_others_waiting() -> None:
    with isolated_stack(alerter=Hanging(name="h")) as stack:
        findings = stack.check(timeout=1.5)
        Hanging._forever.set()
    hanging = {f.check.what: f.check for f in findings if f.name == "h"}
    assert outcomes(hanging) == {"begins": OK, "answers": FAILED}
    assert hanging["answers"].message == "It did not answer within 1.5 seconds."
    assert {f.check.outcome for f in findings if f.name != "h"} == {OK}


class Rude(Hanging):
    FLAVOR: ClassVar[str] = "rude"

    def check(self) -> Iterator[Check]:
        yield Check("begins")
        raise RuntimeError("no")


def test_one_that_breaks_is_told() -> None:
    checks = found(Rude(name="h"))
    assert checks["can be checked"] == Check("can be checked", FAILED, "RuntimeError: no.")


def test_components_that_do_not_fit_together(tmp_path: Path) -> None:
    class Far(LocalOrchestrator):
        @property
        def spread(self) -> object:
            from zenml.enums import Reach

            return Reach.NETWORK

    stack = Stack(
        "far",
        orchestrator=Far(name="far"),
        metadata_store=SQLiteMetadataStore(name="m", uri=str(tmp_path / "m.db")),
        artifact_store=LocalArtifactStore(name="a", path=str(tmp_path)),
    )
    fit = next(f for f in stack.check() if f.type is None)
    assert (fit.name, fit.check.outcome) == ("far", FAILED)
    assert "The artifact store 'a' can only be used from the same host" in fit.check.message


# Container registries: a server that speaks just as much of their interface as a login needs


@dataclass
class FakeRegistry:
    challenge: str = ""
    refuses: bool = False
    read_only: bool = False
    port: int = 0
    seen: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)


@pytest.fixture
def fake_registry() -> Iterator[Callable[..., FakeRegistry]]:
    with contextlib.ExitStack() as servers:

        def start(**options: object) -> FakeRegistry:
            registry = FakeRegistry(**options)  # type: ignore[arg-type]

            class Handler(BaseHTTPRequestHandler):
                def do_GET(self) -> None:
                    given = self.headers.get("Authorization", "")
                    registry.seen.append(given)
                    if self.path.startswith("/token"):
                        good = given == "Basic " + base64.b64encode(b"ann:right").decode()
                        self.answer(200 if good else 401, json.dumps({"token": "t0ken"}).encode())
                    elif not registry.challenge or given in (
                        "Bearer t0ken",
                        "Basic " + base64.b64encode(b"ann:right").decode(),
                    ):
                        self.answer(503 if registry.refuses else 200, b"{}")
                    else:
                        self.answer(401, b"", registry.challenge.format(port=registry.port))

                def do_POST(self) -> None:
                    known = self.headers.get("Authorization", "") in (
                        "Bearer t0ken",
                        "Basic " + base64.b64encode(b"ann:right").decode(),
                    )
                    if registry.challenge and not known:
                        self.answer(401, b"", registry.challenge.format(port=registry.port))
                    else:
                        registry.uploads.append(self.path)
                        self.answer(403 if registry.read_only else 202, b"", location="/v2/upload/1")

                def do_DELETE(self) -> None:
                    registry.uploads.append(f"no {self.path}")
                    self.answer(204, b"")

                def answer(self, status: int, body: bytes, challenge: str = "", location: str = "") -> None:
                    self.send_response(status)
                    if location:
                        self.send_header("Location", location)
                    if challenge:
                        self.send_header("WWW-Authenticate", challenge)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

                def log_message(self, *_: object) -> None:
                    pass

            server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            registry.port = server.server_address[1]
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            servers.callback(thread.join)
            servers.callback(server.server_close)
            servers.callback(server.shutdown)
            return registry

        yield start


BASIC = 'Basic realm="Registry"'
BEARER = 'Bearer realm="http://127.0.0.1:{port}/token",service="registry"'


def registry_at(port: int, **fields: str) -> DefaultContainerRegistry:
    return DefaultContainerRegistry(name="r", uri=f"127.0.0.1:{port}/team", **fields)


def test_a_registry_that_lets_everybody_in(fake_registry: Callable[..., FakeRegistry]) -> None:
    registry = fake_registry()
    expected = {"running": OK, "reachable": OK, "can be pushed to": OK}
    assert outcomes(found(registry_at(registry.port))) == expected
    assert outcomes(found(registry_at(registry.port, username="ann", password="right"))) == expected
    assert registry.uploads == 2 * ["/v2/team/zenml/blobs/uploads/", "no /v2/upload/1"]


def test_a_user_who_may_not_push(fake_registry: Callable[..., FakeRegistry]) -> None:
    port = fake_registry(challenge=BASIC, read_only=True).port
    push = found(registry_at(port, username="ann", password="right"))["can be pushed to"]
    assert push.outcome is FAILED
    assert push.message == (
        f"The container registry 'r' at 127.0.0.1:{port}/team refuses its user and password. Give those that may push there, with "
        "`zenml container-registry update r --username=... --password=...`."
    )


@pytest.mark.parametrize("challenge", [BASIC, BEARER])
def test_a_registry_with_a_login(fake_registry: Callable[..., FakeRegistry], challenge: str) -> None:
    port = fake_registry(challenge=challenge).port
    good = found(registry_at(port, username="ann", password="right"))
    assert outcomes(good) == {"running": OK, "reachable": OK, "login": OK, "can be pushed to": OK}
    bad = found(registry_at(port, username="ann", password="canary"))["login"]
    assert bad.outcome is FAILED
    assert bad.message.startswith("It refuses the user and the password")
    assert bad.remedy == "Are the user and the password right, and still valid?"
    assert "canary" not in repr(bad)


def test_a_registry_that_wants_a_login_and_gets_none(fake_registry: Callable[..., FakeRegistry]) -> None:
    login = found(registry_at(fake_registry(challenge=BASIC).port))["login"]
    assert login.message == "It asks for a user and a password, and none is configured."
    assert "zenml container-registry update r --username=... --password=..." in login.remedy


def test_a_password_goes_nowhere_else(fake_registry: Callable[..., FakeRegistry]) -> None:
    registry = fake_registry(challenge='Bearer realm="file:///etc/passwd",service="x"')
    login = found(registry_at(registry.port, username="ann", password="right"))["login"]
    assert (
        login.message
        == "It sends users to 'file:///etc/passwd' for a token, where a password cannot safely go."
    )
    assert registry.seen == [""]


def test_no_registry(fake_registry: Callable[..., FakeRegistry]) -> None:
    port = free_port()
    gone = found(registry_at(port))["reachable"]
    assert gone.outcome is FAILED
    assert gone.message.startswith(f"http://127.0.0.1:{port}/v2/ cannot be reached: ")
    busy = found(registry_at(fake_registry(refuses=True).port))["reachable"]
    assert busy.message.endswith("/v2/ answers with the status 503.")
