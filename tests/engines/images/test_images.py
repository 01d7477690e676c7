"""Images of pipelines, built and pushed by real programs to real registries."""

from __future__ import annotations

import gc
import io
import json
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest

from tests.docker_engine import BASE_IMAGE, DockerEngine, ImageRegistry
from zenml._version import __version__
from zenml.container_registries import DefaultContainerRegistry
from zenml.exceptions import ConfigurationError, ImageError, StoreError
from zenml.image_builders import ImageBuilder
from zenml.image_builders.command_builder import BuildahBuilder, PodmanBuilder
from zenml.image_builders.docker_builder import DockerBuilder
from zenml.images import DockerSettings
from zenml.images.build import dockerfile
from zenml.model.deployment import Deployment
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import step
from zenml.testing import isolated_stack


class Shipping(LocalOrchestrator):
    """Executes steps here, and has an image made as if it did not."""

    FLAVOR: ClassVar[str] = "shipping"
    uses_image: ClassVar[bool] = True

    base: str = ""
    host: str | None = None

    @property
    def image_base(self) -> str | None:
        return self.base or None

    @property
    def docker_host(self) -> str | None:
        return self.host


@step
def one() -> int:
    return 1


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with code, and with what has no place in an image."""
    folder = tmp_path / "project"  # the working folder of each test
    (folder / "features").mkdir()
    (folder / "features" / "clean.py").write_text("RATE = 2\n")
    (folder / "run.py").write_text("from features.clean import RATE\n")
    (folder / "run.py").chmod(0o755)
    (folder / "link.py").symlink_to("run.py")
    (folder / ".env").write_text("PASSWORD=hunter2\n")
    (folder / "data").mkdir()
    (folder / "data" / "large.csv").write_text("1,2\n")
    (folder / ".gitignore").write_text("data/\n")
    return folder


@contextmanager
def shipping(project: Path, engine: DockerEngine, **components) -> Iterator[Stack]:
    orchestrator = Shipping(name="shipping", base=engine.base_image)
    with isolated_stack(project.parent, orchestrator=orchestrator, **components) as stack:
        yield stack


def image_of(run) -> str:
    store = Repository().active_stack.metadata_store
    return Deployment.from_document(json.loads(store.deployment(run.id))).images["orchestrator"]


def printed_in(engine: DockerEngine, image: str, *command: str) -> str:
    with engine.client() as client:
        return client.containers.run(
            image, list(command), network_mode="none", remove=True, stderr=True
        ).decode()


def made(**settings):
    @pipeline(docker_settings=DockerSettings(**settings))
    def little():
        one()

    return little()


@pytest.fixture(autouse=True)
def messages(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, logger="zenml")
    return caplog


def test_an_image_has_the_code_and_this_framework(project: Path, docker_host: DockerEngine):
    with shipping(project, docker_host):
        image = image_of(made(environment={"GREETING": 'say "hi" for $5'}).run())
    files = printed_in(docker_host, image, "find", ".", "-type", "f", "-o", "-type", "l").split()
    assert sorted(files) == ["./.gitignore", "./features/clean.py", "./link.py", "./run.py"]
    code = "import os, zenml, run; print(zenml.__version__, run.RATE, os.environ['GREETING'], os.environ['ZENML_SOURCE_ROOT'])"
    assert printed_in(docker_host, image, "python", "-c", code) == f'{__version__} 2 say "hi" for $5 /app\n'


def test_an_image_is_built_once(project: Path, docker_host: DockerEngine, messages: pytest.LogCaptureFixture):
    little = made()
    with shipping(project, docker_host):
        first = image_of(little.run())
        messages.clear()
        assert image_of(little.run()) == first
        assert f"The image {first} is unchanged." in messages.messages
        (project / "data" / "large.csv").write_text("3,4\n")  # it is left out
        assert image_of(little.run()) == first
        (project / "run.py").write_text("from features.clean import RATE as FACTOR\n")
        second = image_of(little.run())
    assert second != first
    with docker_host.client() as client:
        layers = [client.images.get(name).attrs["RootFS"]["Layers"] for name in (first, second)]
    assert layers[0][:-1] == layers[1][:-1]  # only the code is new: no requirement was installed again


def test_a_dockerfile_of_the_user_is_the_base(project: Path, docker_host: DockerEngine):
    text = f"ARG BASE={BASE_IMAGE}\nFROM $BASE\nCOPY features /features\nRUN ls -a / > /seen && touch /made\n"
    (project / "Dockerfile").write_text(text)
    (project / ".dockerignore").write_text("**/*.csv\n!.env\n")
    with shipping(project, docker_host):
        image = image_of(made(dockerfile="Dockerfile").run())
    code = "import os; print(sorted(os.listdir('/features')), os.path.exists('/made'), os.path.exists('/app/.env'))"
    assert printed_in(docker_host, image, "python", "-c", code) == "['clean.py'] True True\n"


def test_what_looks_like_a_secret_stays_out(
    project: Path, docker_host: DockerEngine, messages: pytest.LogCaptureFixture
):
    (project / "certificates").mkdir()
    (project / "certificates" / "server.key").write_text("key\n")
    with shipping(project, docker_host):
        made().run()
    warning = (
        "Not in the image, since they look like secrets: .env, certificates/server.key. "
        "Where one is none, `!.env` in .dockerignore takes it in."
    )
    assert warning in messages.messages


def test_nothing_secret_is_in_a_layer(project: Path, docker_host: DockerEngine):
    canary = "canary-in-a-coal-mine"
    (project / ".env").write_text(f"TOKEN={canary}\n")
    with shipping(project, docker_host, secrets={"login": {"token": canary}}) as stack:
        assert stack.secrets_manager is not None
        assert stack.secrets_manager.get_secret("login").content["token"] == canary
        image = image_of(made().run())
    search = f"grep -rl {canary[:6]}'{canary[6:]}' / --exclude-dir=proc --exclude-dir=sys; ls -A /app"
    assert printed_in(docker_host, image, "sh", "-c", search).split() == [
        ".gitignore",
        "features",
        "link.py",
        "run.py",
    ]
    with docker_host.client() as client:
        found = client.images.get(image)
        assert canary not in str([found.attrs, found.history()])


def test_packages_of_debian(docker_host: DockerEngine, tmp_path: Path):
    first, packages, *_ = dockerfile(docker_host.base_image, apt_packages=["tree"]).splitlines()
    with DockerBuilder() as builder:
        builder.build("packages:1", context(tmp_path, f"{first}\n{packages}\n"), network="host")
    assert "directories" in printed_in(docker_host, "packages:1", "tree", "/var/lib/apt")


def test_a_dockerfile_that_fails(project: Path, docker_host: DockerEngine):
    (project / "Dockerfile").write_text(
        f"FROM {BASE_IMAGE}\nRUN echo almost && echo 'no compiler' >&2 && exit 3\n"
    )
    with shipping(project, docker_host) as stack:
        with pytest.raises(ImageError) as caught:
            made(dockerfile="Dockerfile").run()
        assert stack.metadata_store.runs(limit=1) == []
    message = str(caught.value)
    assert message.startswith("docker cannot build the image localhost/zenml-base:")
    assert "returned a non-zero code: 3" in message
    assert {"  almost", "  no compiler"} <= set(message.splitlines())
    assert message.endswith("Mend what the last of these lines tell.")


def test_a_requirement_that_cannot_be_installed(project: Path, docker_host: DockerEngine):
    with shipping(project, docker_host) as stack:
        with pytest.raises(ImageError) as caught:
            made(requirements=["--no-index", "no-such-package-anywhere==1.2.3"]).run()
        assert stack.metadata_store.runs(limit=1) == []
    message = str(caught.value)
    assert "No matching distribution found for no-such-package-anywhere==1.2.3" in message
    assert (
        "Are the requirements right, and can they be installed beside each other, with this Python?"
        in message
    )


# The library leaves the socket open with which it failed to connect.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_engine(project: Path, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    with shipping(project, docker_engine), pytest.raises(ImageError) as caught:
        made(builder="docker").run()
    message = str(caught.value)
    assert message.startswith("No Docker engine answers at unix:///nowhere/docker.sock: ")
    assert message.endswith("Start it, or say where it is by the environment variable DOCKER_HOST.")
    del caught
    gc.collect()


def test_the_engine_of_the_component(
    project: Path, docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    orchestrator = Shipping(name="shipping", base=docker_engine.base_image, host=docker_engine.url)
    with isolated_stack(project.parent, orchestrator=orchestrator):
        image = image_of(made().run())
    with docker_engine.client() as client:
        assert client.images.list(image)


# Registries


def registry_at(address: str, **fields) -> DefaultContainerRegistry:
    return DefaultContainerRegistry(name="registry", uri=f"{address}/team", **fields)


def test_an_image_is_pushed_through_the_stack(
    project: Path, docker_host: DockerEngine, image_registry: str, messages: pytest.LogCaptureFixture
):
    registry = registry_at(image_registry)
    with shipping(project, docker_host, container_registry=registry):
        image = image_of(made().run())
        assert image.startswith(f"{image_registry}/team/zenml:")
        assert registry.has_image(image)
        with docker_host.client() as client:
            client.images.remove(image)
        messages.clear()
        made().run()
        assert f"The image {image} is unchanged." in messages.messages
    with docker_host.client() as client:
        assert client.images.list(image) == []  # nothing was pulled to know that


def context(folder: Path, dockerfile: str) -> Path:
    archive = folder / "context.tar"
    with tarfile.open(archive, "w") as tar:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(dockerfile)
        tar.addfile(entry, io.BytesIO(dockerfile.encode()))
    return archive


BUILDERS = {"docker": DockerBuilder, "buildah": BuildahBuilder, "podman": PodmanBuilder}


@pytest.fixture
def builder(
    request: pytest.FixtureRequest, docker_host: DockerEngine, containers: None
) -> type[ImageBuilder]:
    return BUILDERS[request.param]


@pytest.mark.parametrize("builder", BUILDERS, indirect=True)
def test_a_registry_that_wants_a_password(
    builder: type[ImageBuilder], guarded_image_registry: ImageRegistry, tmp_path: Path, home: Path
):
    guarded = guarded_image_registry
    registry = registry_at(guarded.address, username=guarded.username, password=guarded.password)
    image = f"{registry.uri}/small:{builder.NAME}"
    with builder(registry.access) as own:
        own.build(image, context(tmp_path, "FROM scratch\nCOPY Dockerfile /\n"))
    stranger = registry_at(guarded.address)
    with builder(stranger.access) as own, pytest.raises(ImageError) as caught:
        stranger.push_image(image, own)
    assert str(caught.value).startswith(f"{builder.NAME} cannot push the image {image}: ")
    assert "`zenml container-registry update NAME --username=... --password=...`" in str(caught.value)
    with builder(registry.access) as own:
        registry.push_image(image, own)
    assert registry.has_image(image)
    # The password is gone with the process.
    assert [file for file in home.rglob("*") if file.is_file() and guarded.password in file.read_text()] == []


def test_a_login_is_missing_before_anything_is_built(
    project: Path,
    docker_host: DockerEngine,
    guarded_image_registry: ImageRegistry,
    messages: pytest.LogCaptureFixture,
):
    registry = registry_at(guarded_image_registry.address)
    with shipping(project, docker_host, container_registry=registry) as stack:
        with pytest.raises(StoreError) as caught:
            made().run()
        assert stack.metadata_store.runs(limit=1) == []
    assert str(caught.value) == (
        f"The container registry 'registry' at {registry.uri} asks for a user and a password. Give those that may push there, "
        "with `zenml container-registry update registry --username=... --password=...`."
    )
    assert "Building" not in messages.text


def test_a_login_is_wrong(project: Path, docker_host: DockerEngine, guarded_image_registry: ImageRegistry):
    registry = registry_at(guarded_image_registry.address, authentication_secret="login")
    secrets = {"login": {"username": "user", "password": "wrong-password"}}
    with (
        shipping(project, docker_host, container_registry=registry, secrets=secrets),
        pytest.raises(StoreError, match="refuses its user and password") as caught,
    ):
        made().run()
    assert "wrong-password" not in str(caught.value)


def test_a_registry_refuses_names_of_others(image_registry: str):
    with pytest.raises(ConfigurationError) as caught:
        registry_at(image_registry).push_image("elsewhere/image:1")
    assert str(caught.value) == (
        f"The image 'elsewhere/image:1' is none of the container registry 'registry': its name must begin with '{image_registry}/team/'."
    )


# Programs that need no engine


@pytest.fixture(scope="module")
def storage() -> Iterator[Path]:
    """Where buildah and podman keep images; both see those of the other."""
    # Not in a folder of pytest's: file systems are mounted in it.
    folder = Path(tempfile.mkdtemp(prefix="zenml-tests-containers-", dir="/tmp"))
    yield folder
    for line in reversed(Path("/proc/mounts").read_text().splitlines()):
        if (mounted := line.split()[1]).startswith(f"{folder}/"):
            subprocess.run(["umount", "--lazy", mounted], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def containers(storage: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """buildah and podman, as they work on a machine with two generations of cgroups."""
    for program in ("buildah", "podman", "runc"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
            pytest.skip(f"no program {program!r}: install Debian's {program} (make services)")
    (storage / "storage.conf").write_text(
        f'[storage]\ndriver = "overlay"\nrunroot = "{storage}/run"\ngraphroot = "{storage}/images"\n'
    )
    (storage / "containers.conf").write_text(
        '[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\n'
    )
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(storage / "storage.conf"))
    monkeypatch.setenv("CONTAINERS_CONF", str(storage / "containers.conf"))
    monkeypatch.setenv("BUILDAH_ISOLATION", "chroot")


@pytest.fixture(scope="module")
def pushed_base(docker_engine: DockerEngine, image_registry: str) -> str:
    """The base image, in the registry."""
    name = f"{image_registry}/tests/base:1"
    with docker_engine.client() as client:
        client.images.get(docker_engine.base_image).tag(name)
        assert "error" not in client.images.push(name)
    return name


@pytest.mark.parametrize("builder", ["buildah", "podman"], indirect=True)
def test_programs_build_and_push(
    builder: type[ImageBuilder],
    project: Path,
    docker_host: DockerEngine,
    image_registry: str,
    pushed_base: str,
):
    registry = registry_at(image_registry)
    little = made(builder=builder.NAME, environment={"BUILDER": builder.NAME})
    with shipping(project, replace(docker_host, base_image=pushed_base), container_registry=registry):
        image = image_of(little.run())
    with docker_host.client() as client:
        client.images.pull(image)
    code = "import os, run, zenml; print(os.environ['BUILDER'], os.path.exists('.env'), run.RATE, zenml.__version__)"
    assert printed_in(docker_host, image, "python", "-c", code) == f"{builder.NAME} False 2 {__version__}\n"


@pytest.mark.parametrize("builder", ["buildah", "podman"], indirect=True)
def test_a_dockerfile_that_fails_elsewhere(
    builder: type[ImageBuilder], pushed_base: str, image_registry: str, tmp_path: Path
):
    broken = context(tmp_path, f"FROM {pushed_base}\nRUN echo almost && echo 'no compiler' >&2 && exit 3\n")
    with pytest.raises(ImageError) as caught:
        builder(registry_at(image_registry).access).build("broken:1", broken)
    message = str(caught.value)
    assert message.startswith(f"{builder.NAME} cannot build the image broken:1: ")
    assert "exit status 3" in message
    assert "  no compiler\n" in message


@pytest.mark.parametrize("builder", ["buildah", "podman"], indirect=True)
def test_programs_need_a_registry(builder: type[ImageBuilder], project: Path, docker_host: DockerEngine):
    with shipping(project, docker_host), pytest.raises(ImageError) as caught:
        made(builder=builder.NAME).run()
    assert str(caught.value) == (
        f"What {builder.NAME} builds stays where nothing else finds it: the stack 'default' needs a container registry, "
        "or a Docker engine as builder."
    )
