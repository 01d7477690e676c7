"""One file, the same to the byte, on ten stacks that are switched by `zenml stack set`: what it makes is the same everywhere."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests import services
from tests.airflow_server import Airflow, airflow_server
from tests.aws_batch import BASE_IMAGE, CREDENTIALS, QUEUE, REGION, aws_batch
from tests.dask_cluster import dask_cluster
from tests.docker_engine import DockerEngine
from tests.object_stores import BUCKET, S3Server
from tests.ray_cluster import ray_cluster

EXAMPLE = Path(__file__).parents[3] / "examples" / "anywhere" / "run.py"
ZENML = str(Path(sys.executable).with_name("zenml"))
STEPS = ("size", "draw", "spread", "largest", "report")


@dataclass
class World:
    """A repository and a configuration of its own, as a user has them."""

    folder: Path
    s3: S3Server
    postgresql: str
    seen: dict[str, Seen] = field(default_factory=dict)

    @property
    def program(self) -> Path:
        return self.folder / "project" / "run.py"

    def run(self, *command: str) -> str:
        ours = {
            "HOME": str(self.folder),
            "ZENML_CONFIG_PATH": str(self.folder / "config"),
            "COLUMNS": "250",
        }
        done = subprocess.run(
            command,
            cwd=self.program.parent,
            env={**os.environ, **ours},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout

    def zenml(self, *arguments: str) -> str:
        return self.run(ZENML, *arguments)

    def prepare(self) -> None:
        """Stores that every machine reaches, and where their passwords are."""
        self.program.parent.mkdir()
        shutil.copy(EXAMPLE, self.program)
        self.zenml("init")
        self.zenml("secrets-manager", "register", "here", "--flavor=local")
        self.zenml(
            "stack", "register", "base", "-o", "default", "-m", "default", "-a", "default", "-x", "here"
        )
        self.zenml("stack", "set", "base")
        url = make_url(self.postgresql)
        self.keep_secrets()
        self.zenml(
            "metadata-store", "register", "records", "--flavor=postgresql", f"--host={url.host}", f"--port={url.port}",
            f"--database={url.database}", f"--username={url.username}", "--password={{stores.database}}",
        )  # fmt: skip

    def keep_secrets(self) -> None:
        """Put what opens the stores into the secrets manager of the active stack."""
        password = make_url(self.postgresql).password
        self.zenml("secret", "register", "stores", f"--database={password}", f"--objects={self.s3.password}")

    def register(
        self, name: str, flavor: str, *fields: str, more: tuple[str, ...] = (), secrets: str = "here"
    ) -> None:
        """A stack of that name with the stores that every machine reaches."""
        self.zenml(
            "artifact-store", "register", name, "--flavor=s3", f"--path=s3://{BUCKET}/{self.folder.name}/{name}",
            f"--endpoint_url={self.s3.endpoint}", "--key=admin", "--secret={{stores.objects}}",
        )  # fmt: skip
        self.zenml("orchestrator", "register", name, f"--flavor={flavor}", *fields)
        self.zenml("stack", "register", name, "-o", name, "-m", "records", "-a", name, "-x", secrets, *more)

    def look(self, name: str) -> Seen:
        """Run the program on that stack, and see what it did."""
        self.zenml("stack", "set", name)
        said = self.run(sys.executable, str(self.program))
        assert f"stack:   {name}\n" in said
        digests = dict(re.findall(r"^(\w+) +completed +([0-9a-f]{64})$", said, re.MULTILINE))
        runs = json.loads(self.zenml("pipeline", "runs", "list", "-o", "json"))
        graph = json.loads(self.zenml("pipeline", "runs", "graph", runs[0]["name"], "-o", "json"))
        password = make_url(self.postgresql).password or ""
        assert self.s3.password not in said
        assert password not in said
        return Seen(digests, runs[0], graph)


@dataclass
class Seen:
    digests: dict[str, str]
    run: dict[str, object]
    graph: dict[str, object]


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, seaweedfs: S3Server, postgresql_url: str
) -> Iterator[World]:
    with services.postgresql_database(postgresql_url) as database:
        world = World(tmp_path_factory.mktemp("anywhere"), seaweedfs, database)
        world.prepare()
        world.seen["default"] = world.look("default")
        yield world


def shape(seen: Seen) -> object:
    """The lineage, without what differs between any two runs: names, times, places."""
    kept = (
        "id",
        "kind",
        "name",
        "status",
        "parameters",
        "cache_key",
        "attempts",
        "data_type",
        "digest",
        "size",
    )
    nodes = [{k: node[k] for k in kept if k in node} for node in seen.graph["nodes"]]
    return sorted(nodes, key=lambda node: node["id"]), sorted(map(json.dumps, seen.graph["edges"]))


def check(world: World, name: str) -> None:
    seen = world.seen[name] = world.look(name)
    first = world.seen["default"]
    assert tuple(seen.digests) == tuple(first.digests)
    assert seen.digests == first.digests
    assert (seen.run["pipeline"], seen.run["status"], seen.run["stack"]) == ("anywhere", "completed", name)
    assert shape(seen) == shape(first)
    assert (
        hashlib.sha256(world.program.read_bytes()).digest() == hashlib.sha256(EXAMPLE.read_bytes()).digest()
    )
    # The second time, everything is there.
    again = world.run(sys.executable, str(world.program))
    assert re.findall(r"^(\w+) +cached +([0-9a-f]{64})$", again, re.MULTILINE) == list(first.digests.items())


def test_on_this_machine_alone(world: World) -> None:
    assert tuple(sorted(world.seen["default"].digests)) == tuple(sorted(STEPS))


def test_with_a_database_and_an_object_store(world: World) -> None:
    world.register("stores", "local")
    check(world, "stores")


def test_on_dask_with_two_workers(world: World, tmp_path_factory: pytest.TempPathFactory) -> None:
    with dask_cluster(tmp_path_factory.mktemp("dask"), workers=2) as cluster:
        world.register("dask", "dask", f"--address={cluster.address}")
        check(world, "dask")


def test_on_ray_with_two_nodes(world: World) -> None:
    with ray_cluster() as cluster:
        world.register("ray", "ray", f"--address={cluster.address}")
        check(world, "ray")


def test_on_docker(world: World, docker_host: DockerEngine) -> None:
    world.register(
        "docker", "docker", f"--custom_docker_base_image_name={docker_host.base_image}", "--network=host"
    )
    check(world, "docker")


def test_on_slurm(world: World, slurm: str) -> None:
    world.register("slurm", "slurm", f"--path={world.folder / 'jobs'}", "--poll_seconds=0.2")
    check(world, "slurm")


@pytest.fixture(scope="module")
def airflow(
    world: World, docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Airflow]:
    with airflow_server(tmp_path_factory.mktemp("airflow") / "home", DOCKER_HOST=docker_engine.url) as server:
        yield server


def register_airflow(world: World, name: str, airflow: Airflow, *fields: str, secrets: str = "here") -> None:
    world.register(
        name, "airflow", f"--url={airflow.url}", f"--dags_folder={airflow.dags_folder}", "--username=ann",
        "--password={{airflow.password}}", *fields, secrets=secrets,
    )  # fmt: skip
    world.zenml("stack", "set", name)
    world.zenml("secret", "register", "airflow", f"--password={airflow.password}")


def test_on_airflow(world: World, airflow: Airflow) -> None:
    register_airflow(world, "airflow", airflow)
    check(world, "airflow")


def test_on_kubeflows_local_runner(world: World) -> None:
    world.register("kubeflow", "kubeflow")
    check(world, "kubeflow")


@pytest.fixture(scope="module")
def amazon(
    world: World, docker_engine: DockerEngine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The address of Amazon's services, which keep secrets where containers reach them."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        with aws_batch(tmp_path_factory.mktemp("moto"), docker_engine) as url:
            fields = (f"--endpoint_url={url}", f"--region_name={REGION}")
            world.zenml("secrets-manager", "register", "amazon", "--flavor=aws", *fields)
            world.zenml(
                "stack",
                "register",
                "amazon",
                "-o",
                "default",
                "-m",
                "default",
                "-a",
                "default",
                "-x",
                "amazon",
            )
            world.zenml("stack", "set", "amazon")
            world.keep_secrets()
            yield url


def test_on_aws_batch(world: World, amazon: str, docker_host: DockerEngine) -> None:
    world.register(
        "batch", "aws_batch", f"--endpoint_url={amazon}", f"--region_name={REGION}", f"--job_queue={QUEUE}",
        f"--custom_docker_base_image_name={BASE_IMAGE}", "--poll_seconds=0.2", secrets="amazon",
    )  # fmt: skip
    check(world, "batch")


def test_on_airflow_in_containers(
    world: World, airflow: Airflow, amazon: str, docker_host: DockerEngine
) -> None:
    register_airflow(
        world, "containers", airflow, "--run_in=container", "--container_network=host",
        f"--custom_docker_base_image_name={BASE_IMAGE}", secrets="amazon",
    )  # fmt: skip
    check(world, "containers")
