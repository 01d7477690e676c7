"""Steps on machines that do not have the project: its files are sent ahead, by the artifact store."""

import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy.engine import make_url

from tests.dask_cluster import dask_cluster
from tests.graphs import UUID_OF_RUN, spec
from tests.object_stores import BUCKET, S3Server
from zenml.artifact_stores import LocalArtifactStore
from zenml.engine.code_archive import located, unpacked_code, with_code
from zenml.enums import Reach
from zenml.exceptions import ArtifactCorruptedError
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.model.deployment import Deployment
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Stack


class FarOrchestrator(LocalOrchestrator):
    """As if its steps were executed elsewhere."""

    FLAVOR: ClassVar[str] = "far"

    @property
    def spread(self) -> Reach:
        return Reach.NETWORK


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    return Stack(
        "far",
        orchestrator=FarOrchestrator(name="far"),
        artifact_store=LocalArtifactStore(name="values", path=str(tmp_path / "values")),
        metadata_store=SQLiteMetadataStore(name="records", uri=str(tmp_path / "records.db")),
    )


@pytest.fixture
def deployment(tmp_path: Path, stack: Stack) -> Deployment:
    root = tmp_path / "own"
    (root / "package" / "data").mkdir(parents=True)
    (root / "package" / "words.py").write_text("WORD = 'hello'\n")
    (root / ".gitignore").write_text("data/\n")
    (root / "package" / "data" / "large").write_text("x")
    (root / ".env").write_text("PASSWORD=hidden\n")
    return Deployment("p", "r", UUID_OF_RUN, (spec("load"),), stack.to_spec(), source_root=str(root))


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_projects_files_arrive_without_what_is_ignored_or_looks_secret(
    deployment: Deployment, stack: Stack
) -> None:
    sent = with_code(deployment, stack)
    assert sent.code_archive is not None
    assert sent.code_archive.startswith(f"{stack.artifact_store.path}/code/{stack.metadata_store.uuid}/")
    there = located(sent, stack.artifact_store)
    assert there.source_root != deployment.source_root
    assert files(Path(there.source_root)) == [".gitignore", "package/words.py"]
    assert located(sent, stack.artifact_store) == there
    assert with_code(deployment, stack) == sent
    Path(deployment.source_root, "package", "words.py").write_text("WORD = 'bye'\n")
    assert with_code(deployment, stack) != sent


def test_an_image_has_its_own_copy(
    deployment: Deployment, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZENML_SOURCE_ROOT", "/app")
    assert located(with_code(deployment, stack), stack.artifact_store).source_root == "/app"


def test_nothing_is_sent_where_every_process_sees_the_project(deployment: Deployment, stack: Stack) -> None:
    near = Stack.from_components(
        "near", {**stack.components, LocalOrchestrator.TYPE: LocalOrchestrator(name="n")}
    )
    assert with_code(deployment, near) is deployment
    assert located(deployment, stack.artifact_store) is deployment


def test_code_that_is_not_what_was_sent_is_not_unpacked(deployment: Deployment, stack: Stack) -> None:
    sent = with_code(deployment, stack)
    path = Path(str(sent.code_archive))
    path.write_bytes(path.read_bytes().replace(b"hello", b"HELLO"))
    with pytest.raises(ArtifactCorruptedError, match="is not what was written there"):
        unpacked_code(str(path), stack.artifact_store)


MODULE = """
from zenml.steps import step

@step
def told() -> str:
    return __file__
"""

PROGRAM = """
import sys

import telling
from zenml.enums import Reach
from zenml.integrations.dask.orchestrators import DaskOrchestrator
from zenml.pipelines import pipeline
from zenml.steps import step
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.metadata_stores import PostgreSQLMetadataStore

DaskOrchestrator.spread = property(lambda self: Reach.NETWORK)


@step
def beside(other: str) -> list[str]:
    import telling

    return [other, telling.__file__]


@pipeline
def telling_where():
    beside(telling.told())


if __name__ == "__main__":
    address, objects, endpoint, host, port, database, user = sys.argv[1:]
    stack = Stack(
        "far",
        orchestrator=DaskOrchestrator(name="dask", address=address),
        artifact_store=S3ArtifactStore(
            name="values", path=objects, endpoint_url=endpoint, key="admin", secret="{{env.OBJECTS}}"
        ),
        metadata_store=PostgreSQLMetadataStore(
            name="records", host=host, port=int(port), database=database, username=user, password="{{env.RECORDS}}"
        ),
    )
    Repository.initialize()
    Repository().register_stack(stack)
    Repository().activate_stack("far")
    for place in telling_where().run().get_step("beside").output.read():
        print(place)
"""


def test_steps_of_a_dask_cluster_import_what_was_sent(
    tmp_path: Path, home: Path, seaweedfs: S3Server, postgresql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(postgresql_database)
    monkeypatch.setenv("OBJECTS", seaweedfs.password)
    monkeypatch.setenv("RECORDS", url.password or "")
    project = Path.cwd()
    (project / "telling.py").write_text(MODULE)
    (project / "run.py").write_text(PROGRAM)
    with dask_cluster(tmp_path, workers=1) as cluster:
        done = subprocess.run(
            [
                *(sys.executable, "run.py", cluster.address),
                *(f"s3://{BUCKET}/{tmp_path.name}", seaweedfs.endpoint),
                *(str(url.host), str(url.port), str(url.database), str(url.username)),
            ],
            env=dict(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    places = [Path(line) for line in done.stdout.splitlines()[-2:]]
    assert [place.name for place in places] == ["telling.py"] * 2
    cache = home / ".cache" / "zenml" / "code"
    assert [place for place in places if not place.is_relative_to(cache)] == []
