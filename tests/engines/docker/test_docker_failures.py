"""What goes wrong with containers, and what is said then."""

import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest

from tests.docker_engine import DockerEngine, ImageRegistry
from zenml.enums import CheckOutcome, ExecutionStatus
from zenml.exceptions import RunError, StackValidationError, StepCrashedError
from zenml.integrations.docker.orchestrators import DockerOrchestrator
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.model.deployment import ResourceSpec
from zenml.testing.conformance import programs
from zenml.testing.isolation import isolated_stack
from zenml.testing.running import last_run

SECONDS = 60


@pytest.fixture
def engine(orchestrator: DockerOrchestrator) -> Iterator[JobEngine]:
    with closing(orchestrator.jobs()) as engine:
        yield engine


def job(image: str | None, code: str = "", **changes) -> Job:
    what = {"name": f"z-{uuid4().hex}", "command": ("python", "-c", code), "image": image}
    return Job(**{**what, "pipeline": "p", "run": "a run", "step": "train[3]", **changes})


def ended(engine: JobEngine, id_: str) -> JobStatus:
    deadline = time.monotonic() + SECONDS
    while not (status := engine.states([id_])[id_]).state.is_finished:
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def printed(engine: JobEngine, id_: str) -> str:
    """What a job has printed that is done."""
    status = ended(engine, id_)
    told = "\n".join(engine.log(id_))
    assert status.state is JobState.SUCCEEDED, told
    engine.remove(id_)
    return told


# Secrets, users, files


@pytest.mark.parametrize("user", [None, "1234:1234"])
def test_secrets_are_a_file_that_the_step_alone_can_read(
    docker_host: DockerEngine, orchestrator: DockerOrchestrator, user: str | None
) -> None:
    code = "import os; p = os.environ['ZENML_SECRETS_FILE']; s = os.stat(p); print(oct(s.st_mode), s.st_uid, os.getuid(), open(p).read())"
    secret = "correct horse"
    with closing(orchestrator.updated({"user": user}).jobs()) as engine, docker_host.client() as client:
        id_ = engine.submit(job(docker_host.base_image, code, secrets=secret))
        told = client.api.inspect_container(id_)
        assert secret not in json.dumps(told)
        number = user.partition(":")[0] if user else "0"
        assert printed(engine, id_) == f"0o100400 {number} {number} {secret}"
        assert secret not in repr(job("image", secrets=secret))


def test_a_container_says_what_it_belongs_to(docker_host: DockerEngine, engine: JobEngine) -> None:
    id_ = engine.submit(job(docker_host.base_image, "import time; time.sleep(60)"))
    with docker_host.client() as client:
        (found,) = client.api.containers(filters={"label": "zenml.step=train[3]"})
    assert (found["Labels"]["zenml.pipeline"], found["Labels"]["zenml.run"]) == ("p", "a run")
    engine.cancel(id_)
    assert ended(engine, id_).state is JobState.FAILED
    engine.remove(id_)


def test_folders_and_volumes_are_there_and_files_belong_to_the_user(
    docker_host: DockerEngine, orchestrator: DockerOrchestrator, tmp_path: Path
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    for folder in (ours, theirs):
        folder.mkdir(mode=0o777)
        folder.chmod(0o777)
    changed = orchestrator.updated({"user": "1234", "volumes": [f"{theirs}:/data:ro"]})
    code = (
        f"import os; open('{ours}/file', 'w').write(os.environ['HOME']); print(os.access('/data', os.W_OK))"
    )
    with closing(changed.jobs()) as engine:
        missing = str(tmp_path / "missing")
        id_ = engine.submit(job(docker_host.base_image, code, folders=(str(ours), missing)))
        assert printed(engine, id_) == "False"
    assert (ours / "file").read_text() == "/tmp"
    assert (ours / "file").stat().st_uid == 1234
    assert not Path(missing).exists()


def test_further_arguments_reach_the_container(
    docker_host: DockerEngine, orchestrator: DockerOrchestrator
) -> None:
    changed = orchestrator.updated({"run_args": {"hostname": "box", "shm_size": "1g"}, "network": "none"})
    code = (
        "import os, socket; s = os.statvfs('/dev/shm'); print(socket.gethostname(), s.f_frsize * s.f_blocks)"
    )
    with closing(changed.jobs()) as engine:
        assert printed(engine, engine.submit(job(docker_host.base_image, code))) == f"box {1 << 30}"


# Resources


def test_a_step_that_needs_more_memory_than_it_asked_for_is_told_so(
    docker_host: DockerEngine, engine: JobEngine
) -> None:
    need = ResourceSpec(cpu=0.5, memory=50_000_000)
    id_ = engine.submit(job(docker_host.base_image, "bytearray(1 << 28)", resources=need))
    assert ended(engine, id_) == JobStatus(
        JobState.FAILED,
        "exit code 137: out of memory, it needed more than the 0.05 GB that the step asks for",
    )
    engine.remove(id_)


def test_what_is_taken_is_waited_for(docker_host: DockerEngine, orchestrator: DockerOrchestrator) -> None:
    with closing(orchestrator.updated({"resources": {"license": 1}}).jobs()) as engine:
        need = ResourceSpec(custom={"license": 1})
        id_ = engine.submit(job(docker_host.base_image, "import time; time.sleep(60)", resources=need))
        assert not engine.has_room(need)
        assert engine.has_room(None)
        engine.cancel(id_)
        engine.remove(id_)
        assert engine.has_room(need)


def test_what_the_machine_does_not_have_is_refused_before_the_run(
    orchestrator: DockerOrchestrator, tmp_path: Path
) -> None:
    with isolated_stack(tmp_path / "world", orchestrator=orchestrator) as stack:
        with pytest.raises(StackValidationError) as refused:
            programs.beyond_means().run()
        assert stack.metadata_store.count_runs() == 0
    first, second, third = str(refused.value).splitlines()
    assert (
        first == f"The machine of the Docker engine at {orchestrator.place} has less than these steps need:"
    )
    assert second.startswith("  the step 'immodest' needs cpu: 1e+06, of ")
    assert third == (
        "Let them ask for less, or say what there is in the fields gpus and resources of the orchestrator 'docker'."
    )


def test_devices_that_the_engine_does_not_know_are_told(
    docker_host: DockerEngine, orchestrator: DockerOrchestrator
) -> None:
    with closing(orchestrator.updated({"gpus": 1}).jobs()) as engine:
        with pytest.raises(RunError, match="could not select device driver"):
            engine.submit(job(docker_host.base_image, resources=ResourceSpec(gpu=1)))
        assert engine.has_room(ResourceSpec(gpu=1))


# Images


@pytest.fixture
def guarded_image(docker_host: DockerEngine, guarded_image_registry: ImageRegistry) -> str:
    """An image without Python, in a registry that asks for a password; the engine does not have it."""
    name = f"{guarded_image_registry.address}/tests/empty:{uuid4().hex}"
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    with docker_host.client() as client:
        repository, tag = name.rsplit(":", 1)
        client.api.import_image_from_data(archive.getvalue(), repository=repository, tag=tag)
        login = {"username": guarded_image_registry.username, "password": guarded_image_registry.password}
        assert "error" not in client.images.push(name, auth_config=login)
        client.images.remove(name)
    return name


def test_an_image_that_cannot_be_pulled_is_told(engine: JobEngine, guarded_image: str) -> None:
    id_ = engine.submit(job(guarded_image))
    status = ended(engine, id_)
    assert status.state is JobState.FAILED
    assert f"The image {guarded_image} cannot be pulled by the Docker engine at unix://" in status.reason
    assert "no basic auth credentials" in status.reason
    assert "`zenml container-registry update NAME --username=... --password=...`" in status.reason
    assert engine.log(id_) == []
    engine.remove(id_)


def test_an_image_is_pulled_with_the_login_of_its_registry(
    docker_host: DockerEngine, engine: JobEngine, guarded_image: str, guarded_image_registry: ImageRegistry
) -> None:
    login = (guarded_image_registry.username, guarded_image_registry.password)
    id_ = engine.submit(job(guarded_image, registry_login=login))
    status = ended(engine, id_)
    assert f"does not start a container of the image {guarded_image}: " in status.reason
    assert "python" in status.reason
    with docker_host.client() as client:
        client.images.remove(guarded_image)
    engine.remove(id_)


def test_a_command_needs_an_image(engine: JobEngine) -> None:
    with pytest.raises(RunError, match="needs an image: name one in its field custom_docker_base_image_name"):
        engine.submit(job(None))


# The engine


def beside(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def kill_when_started(docker_host: DockerEngine, step: str) -> None:
    deadline = time.monotonic() + SECONDS
    with docker_host.client() as client:
        while not (found := client.api.containers(filters={"label": f"zenml.step={step}"})):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.api.kill(found[0]["Id"])


def test_a_container_that_is_killed_has_crashed(
    docker_host: DockerEngine, orchestrator: DockerOrchestrator, tmp_path: Path
) -> None:
    with isolated_stack(tmp_path / "world", orchestrator=orchestrator):
        killer = beside(lambda: kill_when_started(docker_host, "wait"))
        with pytest.raises(StepCrashedError, match="exit code 137: killed by SIGKILL"):
            programs.waiting().run()
        killer.join()
        run = last_run()
    assert (run.status, run.get_step("wait").status) == (ExecutionStatus.FAILED, ExecutionStatus.CRASHED)


def test_a_container_that_is_removed_is_lost(docker_host: DockerEngine, engine: JobEngine) -> None:
    id_ = engine.submit(job(docker_host.base_image, "import time; time.sleep(60)"))
    with docker_host.client() as client:
        client.api.remove_container(id_, force=True)
    assert ended(engine, id_) == JobStatus(JobState.LOST, "its container was removed by somebody else")
    engine.cancel(id_)
    engine.remove(id_)


class Tunnel:
    """A socket that leads to another one, until it is closed."""

    def __init__(self, path: Path, target: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._target = target
        self._open: list[socket.socket] = [self._listener]
        beside(self._accept)

    def close(self) -> None:
        for one in self._open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is closed already
                continue
            finally:
                one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._target)
            self._open += [near, far]
            beside(lambda near=near, far=far: self._copy(near, far))
            beside(lambda near=near, far=far: self._copy(far, near))

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return


def test_an_engine_that_goes_away_is_unreachable(
    docker_host: DockerEngine, orchestrator: DockerOrchestrator, tmp_path: Path
) -> None:
    path = tmp_path / "docker.sock"
    with closing(Tunnel(path, docker_host.url.removeprefix("unix://"))) as tunnel:
        engine = orchestrator.updated({"host": f"unix://{path}"}).jobs()
        id_ = engine.submit(job(docker_host.base_image, "import time; time.sleep(60)"))
        assert not engine.states([id_])[id_].state.is_finished
        tunnel.close()
    for ask in (lambda: engine.states([id_]), lambda: engine.cancel(id_), lambda: engine.log(id_)):
        with pytest.raises(
            EngineUnreachableError, match=f"The Docker engine at unix://{path} does not answer"
        ):
            ask()
    engine.close()
    with docker_host.client() as client:
        client.api.remove_container(id_, force=True)


def test_an_engine_that_is_not_there_is_told_before_anything_is_recorded(tmp_path: Path) -> None:
    orchestrator = DockerOrchestrator(name="far", host=f"unix://{tmp_path}/no.sock")
    with isolated_stack(tmp_path / "world", orchestrator=orchestrator) as stack:
        with pytest.raises(StackValidationError) as refused:
            programs.chain(length=2).run()
        assert stack.metadata_store.count_runs() == 0
    told = str(refused.value)
    assert told.startswith(
        f"The Docker engine at unix://{tmp_path}/no.sock of the orchestrator 'far' does not answer: "
    )
    assert told.endswith(
        "Start it, or say where it is: by the field `host`, or the environment variable DOCKER_HOST."
    )
    (failed,) = [check for check in orchestrator.check() if check.outcome is not CheckOutcome.OK]
    assert (failed.what, failed.message) == ("reachable", told)


def test_a_check_says_what_is_there(orchestrator: DockerOrchestrator) -> None:
    found = {check.what: check for check in orchestrator.check()}
    assert [check.outcome for check in found.values()] == [CheckOutcome.OK] * len(found)
    assert found["version"].message.startswith("Docker ")
    assert found["image"].message.endswith(" is there")


def test_a_check_says_that_an_image_cannot_be_pulled(
    orchestrator: DockerOrchestrator, image_registry: str
) -> None:
    nowhere = orchestrator.updated({"custom_docker_base_image_name": f"{image_registry}/no/where:1"})
    (failed,) = [check for check in nowhere.check() if check.outcome is not CheckOutcome.OK]
    assert failed.what == "image"
    assert failed.remedy == "Is its name right? Log in with `docker login` where it is kept."
