"""What is built, and what is refused before anything is."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import ValidationError

from zenml._version import __version__
from zenml.exceptions import (
    ConfigurationError,
    DuplicatedConfigurationError,
    SecretError,
    UnreadableFileError,
)
from zenml.image_builders.base_image_builder import BuilderName, ImageBuilder
from zenml.images import DockerSettings, build
from zenml.images.archive import WHEEL, wheel, wheel_digest
from zenml.images.build import DEFAULT_BASE, build_images, dockerfile
from zenml.model.deployment import Deployment, DockerSpec
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.secret.known import remember
from zenml.step_operators import BaseStepOperator
from zenml.steps import step
from zenml.testing import isolated_stack


class Recording(ImageBuilder):
    """A fake: it keeps what it is given, and builds nothing."""

    NAME: ClassVar[BuilderName] = "docker"
    runs_images: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self.built: dict[str, dict[str, bytes]] = {}

    def has_image(self, image: str) -> bool:
        return image in self.built

    def build(self, image: str, context: Path, *, network: str | None = None) -> None:
        with tarfile.open(context) as tar:
            self.built[image] = {
                entry.name: opened.read() for entry in tar if (opened := tar.extractfile(entry)) is not None
            }

    def push(self, image: str) -> None:
        """There is no registry."""


class Contained(LocalOrchestrator):
    FLAVOR: ClassVar[str] = "contained"
    uses_image: ClassVar[bool] = True


class ContainedSteps(BaseStepOperator):
    FLAVOR: ClassVar[str] = "contained"
    uses_image: ClassVar[bool] = True

    @property
    def image_base(self) -> str:
        return "operators/base:2"

    def launch(
        self, pipeline_name: str, run_name: str, requirements: list[str], entrypoint_command: list[str]
    ) -> None:
        """Nothing is executed here."""


@step
def one() -> int:
    return 1


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Recording:
    builder = Recording()
    monkeypatch.setattr(build, "find_builder", lambda *_: builder)
    return builder


@pytest.fixture(autouse=True)
def world(tmp_path: Path):
    with isolated_stack(tmp_path, orchestrator=Contained(name="contained")):
        yield


def run(**options) -> dict[str, str]:
    """Run a pipeline; gives the images of its run."""

    @pipeline(**options)
    def little():
        one()

    done = little().run()
    store = Repository().active_stack.metadata_store
    return dict(Deployment.from_document(json.loads(store.deployment(done.id))).images)


def dockerfile_of(builder: Recording, image: str) -> list[str]:
    return builder.built[image]["Dockerfile"].decode().splitlines()


def test_an_image_is_made_of_the_project_and_the_settings(builder: Recording):
    Path("run.py").write_text("print()\n")
    settings = DockerSettings(
        base_image="mine/base:1",
        apt_packages=["libgomp1", "curl=7.88"],
        environment={"LEVEL": "3"},
        requirements=["pandas>=2"],
    )
    images = run(docker_settings=settings, required_integrations=["sklearn"], requirements=["polars"])
    files = builder.built[images["orchestrator"]]
    assert dockerfile_of(builder, images["orchestrator"]) == [
        "FROM mine/base:1",
        'ENV LEVEL="3"',
        (
            "RUN apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends curl=7.88 libgomp1 "
            "&& rm -rf /var/lib/apt/lists/*"
        ),
        f"COPY requirements.txt {WHEEL} /opt/zenml/",
        (
            "RUN python -m pip install --no-cache-dir --no-input --disable-pip-version-check --root-user-action=ignore "
            f"/opt/zenml/{WHEEL} -r /opt/zenml/requirements.txt"
        ),
        "WORKDIR /app",
        "ENV ZENML_SOURCE_ROOT=/app",
        "ENTRYPOINT []",
        "COPY code/ /app/",
    ]
    assert {"pandas>=2", "polars", "scikit-learn>=1.5"} <= set(
        files["requirements.txt"].decode().splitlines()
    )
    assert files["code/run.py"] == b"print()\n"
    assert sorted(files) == ["Dockerfile", "code/run.py", "requirements.txt", WHEEL]


def test_pipelines_of_a_project_share_an_image(builder: Recording):
    assert run(name="first") == run(name="second")
    assert len(builder.built) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"requirements": ["polars"]},
        {"docker_settings": DockerSettings(environment={"A": "1"})},
        {"docker_settings": DockerSettings(base_image="other")},
        {"docker_settings": DockerSettings(apt_packages=["curl"])},
    ],
    ids=["requirements", "environment", "base", "packages"],
)
def test_other_settings_give_another_image(builder: Recording, other: dict[str, object]):
    assert run() != run(**other)


def test_another_version_of_this_framework_gives_another_image(
    builder: Recording, monkeypatch: pytest.MonkeyPatch
):
    first = run()
    monkeypatch.setattr(build, "wheel_digest", lambda: "another")
    assert run() != first


def test_the_project_changes_its_image(builder: Recording):
    first = run()
    Path("module.py").touch()
    assert run() != first


def test_a_step_operator_has_an_image_where_a_step_uses_it(builder: Recording, tmp_path: Path):
    operator = ContainedSteps(name="contained")

    @step(step_operator="contained")
    def two() -> int:
        return 2

    @pipeline
    def with_operator():
        one()
        two()

    @pipeline
    def without_operator():
        one()

    from zenml.pipelines.running import compile_for

    with isolated_stack(tmp_path / "other", step_operator=operator) as stack:
        images = []
        for made in (with_operator(), without_operator()):
            compiled = compile_for(
                made, stack, run_name="run", enable_cache=True, verify="present", options={}
            )
            images.append(build_images(compiled.deployment, stack))
    assert list(images[0]) == ["step_operator"]
    assert dockerfile_of(builder, images[0]["step_operator"])[0] == "FROM operators/base:2"
    assert images[1] == {}


def test_the_base_is_this_python_by_default(builder: Recording):
    assert dockerfile_of(builder, run()["orchestrator"])[0] == f"FROM {DEFAULT_BASE}"


def test_a_dockerfile_of_the_user_comes_first(builder: Recording):
    Path("docker").mkdir()
    Path("docker/gpu").write_text("FROM gpu\nCOPY . /src\n")
    Path("Dockerfile").write_text("FROM other\n")
    Path("module.py").touch()
    images = run(docker_settings=DockerSettings(dockerfile="docker/gpu"))
    (base,) = set(builder.built) - set(images.values())
    assert dockerfile_of(builder, images["orchestrator"])[0] == f"FROM {base}"
    assert dockerfile_of(builder, base) == ["FROM gpu", "COPY . /src"]
    assert builder.built[base][".dockerignore"] == b"Dockerfile\n.dockerignore\n"
    assert "module.py" in builder.built[base]
    assert builder.built[images["orchestrator"]]["code/Dockerfile"] == b"FROM other\n"


def test_a_dockerfile_that_is_not_there(builder: Recording):
    with pytest.raises(UnreadableFileError, match="The Dockerfile '.*nowhere' cannot be read: "):
        run(docker_settings=DockerSettings(dockerfile="nowhere"))


def test_values_of_variables_are_quoted():
    lines = dockerfile("base", environment={"A": 'say "$HOME" \\ '}).splitlines()
    assert lines[1] == 'ENV A="say \\"\\$HOME\\" \\\\ "'


# What is refused


REQUIREMENTS = {
    "zenml": "The requirement 'zenml' names this framework itself: images have the version that is running. Take it away.",
    "ZenML[s3]>=1": "The requirement 'ZenML[s3]>=1' names this framework itself",
    "-r more.txt": "The requirement '-r more.txt' refers to a file of this machine, which is not there when an image is built.",
    "--constraint=c.txt": "refers to a file of this machine",
    "./wheels/own.whl": "refers to a file of this machine",
    "/srv/own.whl": "refers to a file of this machine",
}


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_requirements_that_cannot_be(builder: Recording, line: str):
    with pytest.raises(ConfigurationError) as caught:
        run(requirements=[line])
    assert REQUIREMENTS[line] in str(caught.value)
    assert builder.built == {}


def test_a_requirement_with_a_password(builder: Recording):
    with pytest.raises(SecretError) as caught:
        run(requirements=["--extra-index-url https://me:hunter2@packages.example.org/simple"])
    assert str(caught.value) == (
        "The requirement '--extra-index-url https://***@packages.example.org/simple' holds a user or a password, which everybody could "
        "read in the image. Use an index that the build reaches without."
    )


@pytest.mark.parametrize("where", ["environment", "dockerfile", "requirement"])
def test_a_known_secret_is_in_no_layer(builder: Recording, where: str):
    remember(["correct horse battery"])
    Path("Dockerfile").write_text("FROM x\nRUN login 'correct horse battery'\n")
    settings = {
        "environment": DockerSettings(environment={"GREETING": "correct horse battery"}),
        "dockerfile": DockerSettings(dockerfile="Dockerfile"),
        "requirement": DockerSettings(requirements=["--find-links=https://x/correct horse battery"]),
    }[where]
    with pytest.raises(
        SecretError, match="holds the value of a secret, which everybody could read in the image"
    ) as caught:
        run(docker_settings=settings)
    assert "horse" not in str(caught.value)
    assert builder.built == {}


SETTINGS = [
    (
        {"environment": {"API_TOKEN": "abc"}},
        "the variable API_TOKEN is called like a secret. It would be in the image: ",
    ),
    (
        {"environment": {"A": "{{login.password}}"}},
        "the variable A refers to a secret, {{login.password}}. It would be",
    ),
    ({"environment": {"A-B": "1"}}, "'A-B' is no name of an environment variable"),
    ({"environment": {"A": "1\nRUN x"}}, "the variable A has a line break or another control character"),
    (
        {"apt_packages": ["curl; rm -rf /"]},
        "'curl; rm -rf /' is no name of a Debian package: expected NAME or NAME=VERSION",
    ),
    ({"base_image": "a\nRUN x"}, "is no name of an image: expected [HOST/]NAME[:TAG]"),
    ({"builder": "kaniko"}, "Input should be 'docker', 'buildah' or 'podman'"),
    ({"dockerfil": "x"}, "Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("fields", "message"), SETTINGS)
def test_settings_that_cannot_be(fields: dict[str, object], message: str):
    with pytest.raises(ValidationError) as caught:
        DockerSettings(**fields)
    assert message in str(caught.value)


def test_an_ignore_file_is_named_once(builder: Recording):
    with pytest.raises(DuplicatedConfigurationError) as caught:
        run(dockerignore_file="a", docker_settings=DockerSettings(dockerignore_file="b"))
    assert str(caught.value) == (
        "The pipeline 'little' names a dockerignore_file twice, 'a' and in its docker_settings 'b': name it in one place."
    )


def test_nothing_is_recorded_when_an_image_cannot_be_made(builder: Recording):
    with pytest.raises(ConfigurationError):
        run(requirements=["zenml"])
    assert Repository().active_stack.metadata_store.runs(limit=1) == []


# Records and wheels


def test_settings_are_part_of_the_deployment():
    settings = DockerSettings(
        base_image="base",
        dockerfile="Dockerfile",
        dockerignore_file="ignore",
        apt_packages=["curl", "bash"],
        environment={"A": "1"},
        builder="podman",
        build_network="host",
    )
    assert settings.spec() == DockerSpec(
        "base", "Dockerfile", "ignore", ("bash", "curl"), {"A": "1"}, "podman", "host"
    )


def test_the_wheel_of_this_installation(monkeypatch: pytest.MonkeyPatch):
    content = wheel()
    assert wheel() == content
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        record = archive.read(f"zenml-{__version__}.dist-info/RECORD").decode()
        metadata = archive.read(f"zenml-{__version__}.dist-info/METADATA").decode()
        for name, digest, size in csv.reader(record.splitlines()):
            if digest:
                data = archive.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert (digest, int(size)) == (f"sha256={found}", len(data))
    assert {"zenml/__init__.py", "zenml/py.typed", "zenml/metadata_stores/migrations/__init__.py"} <= set(
        names
    )
    assert f"zenml-{__version__}.dist-info/entry_points.txt" in names
    assert not [name for name in names if name.endswith(".pyc")]
    assert "Requires-Dist: sqlalchemy" in metadata
    assert len(wheel_digest()) == 64


def test_builders_are_chosen_by_name_and_variable(monkeypatch: pytest.MonkeyPatch):
    from zenml.image_builders.choice import find_builder

    with pytest.raises(
        ConfigurationError, match="There is no image builder 'dokcer'. Did you mean 'docker'?"
    ):
        find_builder("dokcer")
    monkeypatch.setenv("ZENML_IMAGE_BUILDER", "kaniko")
    with pytest.raises(ConfigurationError, match="There is no image builder 'kaniko'. Known: "):
        find_builder()
