"""A real Docker engine and real registries for tests; kept and ended as `tests/services.py` does with its own.

A test takes the fixtures of `tests/conftest.py`, each started once in a session, by the first test that wants it:

- `docker_engine`: an engine on a socket of its own. `docker_engine.url` is for `docker.DockerClient` or the variable DOCKER_HOST,
  `docker_engine.base_image` names an image with Debian's Python as `python` and the packages of `PACKAGES`, which are those of
  this environment, byte for byte; zenml itself is not in it. `with docker_engine.client() as client` gives a client.
  The engine makes no bridge: containers run with `network_mode="host"` (or "none"), and so do builds that fetch something.
- `docker_host`: the same, with DOCKER_HOST set for this test.
- `image_registry`: HOST:PORT of a registry on loopback that takes everything.
- `guarded_image_registry`: one that asks for a user and a password.

The base image is made of Debian's packages and kept in ~/.cache/zenml-tests, so that only the first session on a machine makes it (about
a minute): `python tests/docker_engine.py base-image` does only that, before the time of a test counts.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pwd
import py_compile
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from importlib.util import cache_from_source
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[1]))  # where this is run as a program

from packaging.requirements import Requirement

from tests import services
from tests.services import START_SECONDS, DatabaseServer, ServiceFailedError, ServiceMissingError

if TYPE_CHECKING:
    from docker import DockerClient

SUITE = "bookworm"
PYTHON = (3, 11)
"""Debian's, of that suite."""
BASE_IMAGE = "zenml-tests/base:2"
PACKAGES = ("zenml", "numpy", "psycopg[binary]", "pymysql", "s3fs", "boto3", "hvac", "pytest", "pip")
"""What the base image has, with all that they need, in the versions that are installed here."""

_VENV = "opt/venv"


@dataclass(frozen=True)
class DockerEngine:
    url: str
    base_image: str = BASE_IMAGE

    @contextmanager
    def client(self) -> Iterator[DockerClient]:
        from docker import DockerClient

        with closing(DockerClient(base_url=self.url)) as client:
            yield client


@dataclass(frozen=True)
class ImageRegistry:
    address: str
    """HOST:PORT."""
    username: str
    password: str

    @classmethod
    def at(cls, url: str) -> ImageRegistry:
        parts = urlsplit(url)
        return cls(f"127.0.0.1:{parts.port}", str(parts.username), str(parts.password))


class DockerEngineServer(DatabaseServer):
    """dockerd as the tests' own user, which must be root; it changes nothing in the machine's network."""

    name = "docker"
    package = "docker.io"

    @property
    def url(self) -> str:
        return f"unix://{self.directory}/docker.sock"

    def find_programs(self) -> None:
        if os.geteuid() != 0:
            raise ServiceMissingError("dockerd runs as root alone")
        self._dockerd = self.program("dockerd")
        self._base = base_image()

    def initialize(self) -> None:
        """Nothing: it begins empty."""

    def command(self) -> list[str]:
        return [
            self._dockerd,
            "--storage-driver=overlay2",
            "--bridge=none",
            "--iptables=false",
            "--ip-masq=false",
            "--ip-forward=false",
            "--userland-proxy=false",
            f"--data-root={self.directory}/data",
            f"--exec-root={self.directory}/exec",
            f"--host={self.url}",
            f"--pidfile={self.directory}/docker.pid",
        ]

    def start(self) -> None:
        self.find_programs()
        self.directory.mkdir(mode=0o700)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise ServiceFailedError(f"dockerd did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)
        with DockerEngine(self.url).client() as client:
            repository, tag = BASE_IMAGE.split(":")
            changes = [f"ENV PATH=/{_VENV}/bin:/usr/local/bin:/usr/bin:/bin", "ENV PYTHONUNBUFFERED=1"]
            answer = client.api.import_image(str(self._base), repository=repository, tag=tag, changes=changes)
            if "error" in answer:
                raise ServiceFailedError(f"the base image could not be imported: {answer}")

    def answers(self) -> bool:
        from docker.errors import DockerException

        try:
            with DockerEngine(self.url).client() as client:
                return bool(client.ping())
        except DockerException:
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            from docker.errors import DockerException

            with suppress(DockerException), DockerEngine(self.url).client() as client:
                for container in client.containers.list():  # the engine would ask each one kindly, and wait
                    with suppress(DockerException):
                        container.kill()
        super().stop()
        for mounted in sorted(_mounts_below(self.directory), reverse=True):
            subprocess.run(["umount", "--lazy", mounted], check=False)
        shutil.rmtree(self.directory, ignore_errors=True)


class RegistryServer(DatabaseServer):
    name = "docker-registry"
    package = "docker-registry"

    @property
    def url(self) -> str:
        return f"http://user:{self.password}@127.0.0.1:{self.port}"

    def find_programs(self) -> None:
        self._registry = self.program("docker-registry")

    def initialize(self) -> None:
        (self.directory / "data").mkdir()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory / "data", nobody.pw_uid, nobody.pw_gid)

    def command(self) -> list[str]:
        configuration = self.directory / "config.json"  # JSON is YAML
        configuration.write_text(
            json.dumps(
                {
                    "version": 0.1,
                    "log": {"level": "error", "accesslog": {"disabled": True}},
                    "storage": {
                        "filesystem": {"rootdirectory": str(self.directory / "data")},
                        "delete": {"enabled": True},
                    },
                    "http": {"addr": f"127.0.0.1:{self.port}"},
                    **self.authentication(),
                }
            )
        )
        configuration.chmod(0o644)
        return [self._registry, "serve", str(configuration)]

    def authentication(self) -> dict[str, object]:
        return {}

    def answers(self) -> bool:
        import requests

        return requests.get(f"http://127.0.0.1:{self.port}/v2/", timeout=2).status_code in (200, 401)


class GuardedRegistryServer(RegistryServer):
    name = "guarded-docker-registry"

    def find_programs(self) -> None:
        super().find_programs()
        try:
            self._htpasswd = self.program("htpasswd")
        except ServiceMissingError as error:
            raise ServiceMissingError(str(error).replace(self.package, "apache2-utils")) from None

    def authentication(self) -> dict[str, object]:
        users = self.directory / "users"
        made = subprocess.run(
            [self._htpasswd, "-niB", "user"], input=self.password, capture_output=True, text=True, check=True
        )
        users.write_text(made.stdout)
        users.chmod(0o644)  # the folder around it is closed
        return {"auth": {"htpasswd": {"realm": "tests", "path": str(users)}}}


# The base image


def base_image() -> Path:
    """An archive of its files, from the cache or made now."""
    if sys.version_info[:2] != PYTHON:
        version = ".".join(map(str, PYTHON))
        raise ServiceMissingError(f"the packages of this Python fit no Debian {SUITE}, which has {version}")
    packages = list(_closure(PACKAGES))
    names = sorted(f"{package.name}=={package.version}" for package in packages)
    key = hashlib.sha256(json.dumps([SUITE, BASE_IMAGE, names]).encode()).hexdigest()[:16]
    # Not $HOME, which is another one in each test.
    folder = Path(pwd.getpwuid(os.getuid()).pw_dir) / ".cache" / "zenml-tests"
    folder.mkdir(parents=True, exist_ok=True)
    archive, debian = folder / f"base-{key}.tar", folder / f"debian-{SUITE}.tar"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not debian.exists():
            _make_debian(debian)
        if not archive.exists():
            unfinished = archive.with_suffix(".unfinished")
            shutil.copyfile(debian, unfinished)
            _add_packages(packages, unfinished)
            for outdated in folder.glob("base-*.tar"):
                outdated.unlink()
            unfinished.rename(archive)
    return archive


def _make_debian(archive: Path) -> None:
    if shutil.which("mmdebstrap") is None:
        raise ServiceMissingError("no program 'mmdebstrap': install Debian's mmdebstrap (make services)")
    unfinished = archive.with_name(f"unfinished-{archive.name}")
    made = subprocess.run(
        [
            *("mmdebstrap", "--quiet", "--variant=apt", "--include=ca-certificates,python3,python3-venv"),
            *(SUITE, str(unfinished), _mirror()),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"] + ":/usr/sbin:/sbin", "HOME": "/root"},
    )
    if made.returncode != 0:
        raise ServiceFailedError(f"mmdebstrap failed:\n{made.stderr[-4000:]}")
    unfinished.rename(archive)


def _mirror() -> str:
    """Where this machine gets Debian's packages from."""
    for file in sorted(Path("/etc/apt").glob("sources.list.d/*.sources")):
        for line in file.read_text().splitlines():
            if line.startswith("URIs:"):
                return line.split()[1]
    for file in (Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt").glob("sources.list.d/*.list"))):
        for line in file.read_text().splitlines() if file.exists() else ():
            if line.startswith("deb "):
                return next(word for word in line.split() if "://" in word)
    raise ServiceMissingError("no source of Debian's packages in /etc/apt")


def _closure(names: tuple[str, ...]) -> Iterator[Distribution]:
    """The installed packages that `names` need, and these; zenml itself not."""
    wanted, seen = [Requirement(name) for name in names], set()
    while wanted:
        requirement = wanted.pop()
        extras = requirement.extras or {""}
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        package = distribution(requirement.name)
        for extra in extras - {known for name, known in seen if name == package.name}:
            if package.name != "zenml" and package.name not in {name for name, _ in seen}:
                yield package
            seen.add((package.name, extra))
            for needed in map(Requirement, package.requires or ()):
                if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                    needed.marker = None
                    wanted.append(needed)


def _add_packages(packages: list[Distribution], archive: Path) -> None:
    """Lay a virtual environment with `packages` into the archive of a file system."""
    site = f"{_VENV}/lib/python{PYTHON[0]}.{PYTHON[1]}/site-packages"
    with tarfile.open(archive, "a") as tar:

        def text(path: str, content: str) -> None:
            temporary.write_text(content)
            tar.add(temporary, path)

        temporary = archive.with_suffix(".txt")
        text(f"{_VENV}/pyvenv.cfg", "home = /usr/bin\ninclude-system-site-packages = false\n")
        for name in ("python", "python3"):
            link = tarfile.TarInfo(f"{_VENV}/bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "/usr/bin/python3"
            tar.addfile(link)
        files = {}
        for package in packages:
            for file in package.files or ():
                if ".." in file.parts:  # programs, beside the packages
                    continue
                path = Path(str(file.locate()))
                if path.is_file() and path.suffix != ".pyc":
                    files[path.relative_to(str(package.locate_file("")))] = path
        for name, path in sorted(files.items()):
            tar.add(path, f"{site}/{name}")
            if path.suffix == ".py":  # a container would compile what it imports each time that it starts
                with suppress(py_compile.PyCompileError):  # templates
                    py_compile.compile(str(path), str(temporary), f"/{site}/{name}", doraise=True)
                    tar.add(temporary, cache_from_source(f"{site}/{name}"))
        temporary.unlink()


def _mounts_below(folder: Path) -> list[str]:
    mounted = (line.split()[1] for line in Path("/proc/mounts").read_text().splitlines())
    return [path for path in mounted if path.startswith(f"{folder}/")]


SERVERS: tuple[type[DatabaseServer], ...] = (DockerEngineServer, RegistryServer, GuardedRegistryServer)
services.SERVERS |= {server.name: server for server in SERVERS}


if __name__ == "__main__":
    if sys.argv[1:] == ["base-image"]:
        try:
            print(base_image())  # noqa: T201 - what was asked for
        except ServiceMissingError as error:
            print(f"no base image for tests: {error}")  # noqa: T201 - the tests that need it say so, too
    else:
        services.keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
