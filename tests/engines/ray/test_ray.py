"""Orchestrator and step operator of Ray pass the suites, on a cluster of two nodes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.object_stores import BUCKET, S3Server
from tests.ray_cluster import RayCluster, ray_cluster
from zenml.integrations.ray.driver import close_kept
from zenml.integrations.ray.orchestrators import RayOrchestrator
from zenml.integrations.ray.step_operators import RayStepOperator
from zenml.orchestrators import BaseOrchestrator
from zenml.stack.checks import Check
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import OrchestratorConformance, StepOperatorConformance

# The start of a cluster counts, which may take a minute on a busy machine.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def cluster(seaweedfs: S3Server, postgresql_url: str) -> Iterator[RayCluster]:
    """Its nodes know the passwords of stores."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OBJECTS", seaweedfs.password)
        environment.setenv("RECORDS", make_url(postgresql_url).password or "")
        with ray_cluster() as cluster:
            yield cluster
    close_kept()


class TestRay(OrchestratorConformance):
    @pytest.fixture
    def orchestrator(self, cluster: RayCluster) -> BaseOrchestrator:
        return RayOrchestrator(name="ray", address=cluster.address)


class TestRayStepOperator(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, cluster: RayCluster) -> BaseStepOperator:
        return RayStepOperator(name="ray", address=cluster.address)


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
from zenml.integrations.ray.cluster import RayCluster
from zenml.integrations.ray.orchestrators import RayOrchestrator
from zenml.integrations.ray.step_operators import RayStepOperator
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.metadata_stores import PostgreSQLMetadataStore
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import step

RayCluster.spread = property(lambda self: Reach.NETWORK)


@step
def beside(other: str) -> list[str]:
    import telling

    return [other, telling.__file__]


@step(step_operator="operator")
def there(others: list[str]) -> list[str]:
    import telling

    return [*others, telling.__file__]


@pipeline
def telling_where():
    there(beside(telling.told()))


if __name__ == "__main__":
    address, objects, endpoint, host, port, database, user = sys.argv[1:]
    stack = Stack(
        "far",
        orchestrator=RayOrchestrator(name="ray", address=address),
        step_operator=RayStepOperator(name="operator", address=address),
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
    for place in telling_where().run().get_step("there").output.read():
        print(place)
"""


def test_a_cluster_of_other_machines_needs_its_address_and_the_stores_alone(
    cluster: RayCluster,
    tmp_path: Path,
    seaweedfs: S3Server,
    postgresql_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As if it were elsewhere: by its port for clients, with the project's files sent there."""
    url = make_url(postgresql_database)
    monkeypatch.setenv("OBJECTS", seaweedfs.password)
    monkeypatch.setenv("RECORDS", url.password or "")
    project = Path.cwd()
    (project / "telling.py").write_text(MODULE)
    (project / "run.py").write_text(PROGRAM)
    done = subprocess.run(
        [
            *(sys.executable, "run.py", cluster.client_address),
            *(f"s3://{BUCKET}/{tmp_path.name}", seaweedfs.endpoint),
            *(str(url.host), str(url.port), str(url.database), str(url.username)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    places = [Path(line) for line in done.stdout.splitlines()[-3:]]
    assert [place.name for place in places] == ["telling.py"] * 3
    assert [place for place in places if place.is_relative_to(project)] == []


FIRST_SERVER_CRASHES = """
import os, pathlib, signal, sys

crashed = pathlib.Path(__file__).with_name("crashed")
if "--mode=specific-server" in sys.orig_argv and not crashed.exists():
    crashed.touch()
    os.kill(os.getpid(), signal.SIGSEGV)
"""


def test_a_client_whose_server_crashes_asks_again(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(FIRST_SERVER_CRASHES)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", str(tmp_path))
        with ray_cluster() as cluster:
            environment.undo()
            nodes = list(RayOrchestrator(name="ray", address=cluster.client_address).check())[-1]
            close_kept()
    assert nodes == Check("nodes", message="2 nodes, 2 CPUs")
    assert (tmp_path / "crashed").exists()
