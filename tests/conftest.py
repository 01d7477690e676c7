import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default as email_policy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, settings

from tests import docker_engine as docker_engines
from tests import known_secrets, object_stores, services, slurm_cluster, spark_cluster

IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")

# How long an example takes says more about the machine than about the code.
settings.register_profile("zenml", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("zenml")

SESSION_DIRECTORY = pytest.StashKey[Path]()
OWNER = pytest.StashKey[int]()

# Importing matplotlib builds a font cache: once in a session instead of once in each test's home.
os.environ.setdefault("MPLCONFIGDIR", str(Path(tempfile.gettempdir()) / "zenml-tests-matplotlib"))


# The session


def pytest_configure(config: pytest.Config) -> None:
    given = getattr(config, "workerinput", None)
    if given is None:
        config.stash[SESSION_DIRECTORY] = services.make_session_directory()
        config.stash[OWNER] = os.getpid()
    else:
        config.stash[SESSION_DIRECTORY] = Path(given["services_directory"])
        config.stash[OWNER] = given["services_owner"]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["services_directory"] = str(node.config.stash[SESSION_DIRECTORY])
    node.workerinput["services_owner"] = node.config.stash[OWNER]


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and SESSION_DIRECTORY in config.stash:
        services.end_session(config.stash[SESSION_DIRECTORY])


# A skipped test is an error in CI: there, everything that tests need must be installed. What a flavor declares that it
# cannot do, in a suite of zenml.testing.conformance, is none.


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    report = yield
    if IN_CI and report.skipped and not hasattr(report, "wasxfail") and " cannot do '" not in _reason(report):
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {_reason(report)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Iterator[None]:
    report = yield
    if IN_CI and report.skipped:
        report.outcome = "failed"
        report.longrepr = f"skipped, which CI does not allow: {_reason(report)}"
    return report


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    if isinstance(report.longrepr, tuple):
        path, line, reason = report.longrepr
        return f"{reason} ({path}:{line})"
    return str(report.longrepr)


# The user


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, an empty working folder beside it, and no variable of zenml's in the environment."""
    for name in list(os.environ):
        if name.startswith("ZENML_") or (name.startswith("XDG_") and name.endswith("_HOME")):
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    project = tmp_path / "project"
    home.mkdir()
    project.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(project)
    return home


@pytest.fixture(autouse=True)
def no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of secrets that other tests had are not redacted in this one."""
    known_secrets.forget(monkeypatch)


@pytest.fixture(autouse=True)
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a test imports from its own folder is gone when it ends, and so is that folder from the path."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main  # commands that run a pipeline's file make it the main module
    for name, module in list(sys.modules.items()):
        # A package without __init__.py has folders only. Some modules import others when they are asked for an attribute.
        known = getattr(module, "__dict__", {})
        places = [known.get("__file__"), *(known.get("__path__") or ())]
        if any(str(place).startswith(f"{tmp_path}/") for place in places):
            del sys.modules[name]


# Databases


@pytest.fixture(scope="session")
def postgresql_url(pytestconfig: pytest.Config) -> str:
    return _server(pytestconfig, "postgresql")


@pytest.fixture(scope="session")
def mariadb_url(pytestconfig: pytest.Config) -> str:
    return _server(pytestconfig, "mariadb")


@pytest.fixture
def postgresql_database(postgresql_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty database."""
    with services.postgresql_database(postgresql_url) as url:
        yield url


@pytest.fixture
def mariadb_database(mariadb_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty database."""
    with services.mariadb_database(mariadb_url) as url:
        yield url


# Vaults


@dataclass(frozen=True)
class OpenBao:
    url: str
    token: str


@pytest.fixture(scope="session")
def openbao(pytestconfig: pytest.Config) -> OpenBao:
    """A server that speaks Vault's API."""
    url = urlsplit(_server(pytestconfig, "openbao"))
    return OpenBao(f"http://{url.hostname}:{url.port}", str(url.password))


def _server(config: pytest.Config, name: str, *keeper_program: str) -> str:
    try:
        return services.session_server(
            name, config.stash[SESSION_DIRECTORY], config.stash[OWNER], *keeper_program
        )
    except services.ServiceMissingError as error:
        pytest.skip(str(error))


# Object stores


@pytest.fixture(scope="session")
def seaweedfs(pytestconfig: pytest.Config) -> object_stores.S3Server:
    """A server that speaks S3."""
    return object_stores.S3Server.at(_server(pytestconfig, "seaweedfs", object_stores.__file__))


@pytest.fixture(scope="session")
def azurite_connection(pytestconfig: pytest.Config) -> str:
    """The connection string of a server that speaks the protocol of Azure Blob Storage."""
    return object_stores.azure_connection_string(_server(pytestconfig, "azurite", object_stores.__file__))


@pytest.fixture(scope="session")
def gcs_url(pytestconfig: pytest.Config) -> str:
    """A server that speaks the protocol of Google Cloud Storage."""
    return _server(pytestconfig, "fake-gcs-server", object_stores.__file__)


# Containers


@pytest.fixture(scope="session")
def docker_engine(pytestconfig: pytest.Config) -> docker_engines.DockerEngine:
    """A Docker engine with a base image; see tests/docker_engine.py."""
    return docker_engines.DockerEngine(_server(pytestconfig, "docker", docker_engines.__file__))


@pytest.fixture
def docker_host(
    docker_engine: docker_engines.DockerEngine, monkeypatch: pytest.MonkeyPatch
) -> docker_engines.DockerEngine:
    """The engine, as the one that clients find."""
    monkeypatch.setenv("DOCKER_HOST", docker_engine.url)
    return docker_engine


@pytest.fixture(scope="session")
def image_registry(pytestconfig: pytest.Config) -> str:
    """HOST:PORT of a registry of images that takes everything."""
    url = _server(pytestconfig, "docker-registry", docker_engines.__file__)
    return docker_engines.ImageRegistry.at(url).address


@pytest.fixture(scope="session")
def guarded_image_registry(pytestconfig: pytest.Config) -> docker_engines.ImageRegistry:
    """A registry of images that asks for a user and a password."""
    url = _server(pytestconfig, "guarded-docker-registry", docker_engines.__file__)
    return docker_engines.ImageRegistry.at(url)


# Batch systems


@pytest.fixture(scope="session")
def slurm_configuration(pytestconfig: pytest.Config) -> str:
    """The path of the configuration of a Slurm cluster; see tests/slurm_cluster.py."""
    return _server(pytestconfig, "slurm", slurm_cluster.__file__)


@pytest.fixture
def slurm(slurm_configuration: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The cluster, as the one that Slurm's programs find."""
    monkeypatch.setenv("SLURM_CONF", slurm_configuration)
    return slurm_configuration


@pytest.fixture(scope="session")
def spark_master(pytestconfig: pytest.Config) -> str:
    """The address of the master of a standalone Spark cluster; see tests/spark_cluster.py."""
    return _server(pytestconfig, "spark", spark_cluster.__file__)


# Mail


@dataclass(frozen=True)
class MailServer:
    host: str
    port: int
    messages: list[EmailMessage] = field(default_factory=list)


@pytest.fixture
def smtp_server() -> Iterator[MailServer]:
    """A server that takes every message and delivers none."""
    from aiosmtpd.controller import Controller

    server = MailServer("127.0.0.1", services.free_port())

    class Handler:
        async def handle_DATA(self, server_: Any, session: Any, envelope: Any) -> str:  # noqa: N802  aiosmtpd's name
            server.messages.append(BytesParser(policy=email_policy).parsebytes(envelope.content))
            return "250 OK"

    controller = Controller(Handler(), hostname=server.host, port=server.port)
    controller.start()
    yield server
    controller.stop()
