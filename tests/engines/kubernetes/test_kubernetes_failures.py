"""What goes wrong on a cluster, and what is said then; on a fake cluster whose pods are real containers."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import kubernetes_validate
import pytest
import yaml

from tests.docker_engine import DockerEngine, ImageRegistry
from tests.fakes.https import make_certificates
from tests.fakes.kubernetes_cluster import FakeKubernetes, node, write_kubeconfig
from tests.services import free_port
from zenml.enums import CheckOutcome, ExecutionStatus
from zenml.exceptions import RunError, StackValidationError, StepCrashedError
from zenml.integrations.kubernetes import jobs
from zenml.integrations.kubernetes.manifests import job_manifest, secret_manifests
from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
from zenml.jobs import Job, JobEngine, JobState, JobStatus
from zenml.model.deployment import Deployment, ResourceSpec, StackSpec, StepSpec
from zenml.orchestrators import job_executor
from zenml.pipelines import pipeline
from zenml.stack import StackComponent
from zenml.steps import Resources, step
from zenml.testing import isolated_stack
from zenml.testing.conformance import programs
from zenml.testing.running import last_run

SECONDS = 60.0


def job(name: str, code: str = "pass", **fields: Any) -> Job:
    command = ("python", "-c", code)
    return Job(**{"name": name, "command": command, "pipeline": "p", "run": "a run", "step": "s", **fields})


@pytest.fixture
def orchestrator(cluster: FakeKubernetes, docker_engine: DockerEngine) -> KubernetesOrchestrator:
    return KubernetesOrchestrator(name="kubernetes", custom_docker_base_image_name=docker_engine.base_image)


@pytest.fixture
def engine(orchestrator: KubernetesOrchestrator) -> Iterator[JobEngine]:
    engine = orchestrator.jobs()
    yield engine
    engine.close()


def until(engine: JobEngine, id_: str, wanted: Callable[[JobStatus], bool]) -> JobStatus:
    deadline = time.monotonic() + SECONDS
    while not wanted(status := engine.states([id_])[id_]):
        assert time.monotonic() < deadline, status
        time.sleep(0.05)
    return status


def end_of(engine: JobEngine, id_: str) -> JobStatus:
    return until(engine, id_, lambda status: status.state.is_finished)


# What is sent


@pytest.mark.parametrize("version", ["1.30", "1.33", "1.37"])
@pytest.mark.parametrize("secrets", [None, "{}"])
def test_manifests_keep_the_schemas(version: str, secrets: str | None) -> None:
    plain = KubernetesOrchestrator(name="kubernetes")
    full = KubernetesOrchestrator(
        name="kubernetes",
        service_account_name="runner",
        image_pull_secrets=["registry"],
        node_selector={"pool": "gpu"},
        tolerations=[{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}],
        run_as_user=1000,
    )
    need = ResourceSpec(cpu=0.5, memory=10**9, gpu=2, custom={"example.com/license": 1.0})
    for cluster in (plain, full):
        for resources, timeout in ((None, None), (need, 90.5)):
            one = job(
                "z-a-1",
                run="name / of: a run" * 9,
                secrets=secrets,
                registry_login=secrets and ("user", "word"),
                resources=resources,
                timeout=timeout,
            )
            manifest = job_manifest(one, "registry/image:1", cluster, "abc")
            kubernetes_validate.validate(manifest, version, strict=True)
            assert "{}" not in str(manifest["spec"]["template"]["spec"]["containers"])
            for secret in secret_manifests(one, "registry/image:1", "uid", "abc"):
                kubernetes_validate.validate(secret, version, strict=True)
    pod = manifest["spec"]["template"]["spec"]
    amounts = {"cpu": "500m", "memory": "1000000000", "nvidia.com/gpu": "2", "example.com/license": "1"}
    assert pod["containers"][0]["resources"] == {"requests": amounts, "limits": amounts}
    assert pod["activeDeadlineSeconds"] == 690
    assert manifest["metadata"]["annotations"]["zenml/run"] == "name / of: a run" * 9
    assert manifest["metadata"]["labels"]["zenml/run"] == ("name-of-a-run" * 9)[:63].strip("-")


# Jobs


@pytest.mark.parametrize("user", [None, 1000])
def test_secrets_are_a_file_that_nobody_else_reads(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, user: int | None
) -> None:
    engine = orchestrator.updated({"run_as_user": user}).jobs()
    code = (
        "import os; path = os.environ['ZENML_SECRETS_FILE']; "
        "print(open(path).read(), oct(os.stat(path).st_mode), os.getuid())"
    )
    id_ = engine.submit(job("z-secret", code, image=orchestrator.image_base, secrets="canary-value"))
    assert "canary" not in str(cluster.jobs[id_])
    assert end_of(engine, id_).state is JobState.SUCCEEDED
    # A user that is not root reads it by its group.
    expected = "canary-value 0o100400 0" if user is None else "canary-value 0o100440 1000"
    assert engine.log(id_) == [expected]
    assert list(cluster.secrets) == [id_]
    engine.remove(id_)
    assert cluster.secrets == {}
    engine.close()


def test_all_jobs_are_looked_at_by_one_request(
    cluster: FakeKubernetes, engine: JobEngine, orchestrator: KubernetesOrchestrator
) -> None:
    ids = [
        engine.submit(job(f"z-{n}", "import time; time.sleep(60)", image=orchestrator.image_base))
        for n in range(3)
    ]
    for id_ in ids:
        until(engine, id_, lambda status: status.state is JobState.RUNNING)
    cluster.asked.clear()
    engine.states(ids)
    assert cluster.asked == ["GET /api/v1/namespaces/zenml/pods"]
    for id_ in ids:
        engine.cancel(id_)
    for id_ in ids:
        end_of(engine, id_)


def test_too_much_memory_is_told(engine: JobEngine, orchestrator: KubernetesOrchestrator) -> None:
    need = ResourceSpec(memory=64 * 2**20)
    id_ = engine.submit(job("z-large", "bytearray(10**9)", image=orchestrator.image_base, resources=need))
    status = end_of(engine, id_)
    engine.remove(id_)
    assert status.reason == (
        "exit code 137; OOMKilled (it used more memory than it may, let the step ask for more by Resources(memory=...))"
    )


def test_a_pod_that_somebody_deletes(
    cluster: FakeKubernetes, engine: JobEngine, orchestrator: KubernetesOrchestrator
) -> None:
    id_ = engine.submit(job("z-deleted", "import time; time.sleep(60)", image=orchestrator.image_base))
    until(engine, id_, lambda status: status.state is JobState.RUNNING)
    cluster.delete_pod(id_)
    status = end_of(engine, id_)
    engine.remove(id_)
    assert status.state is JobState.FAILED


def test_an_image_that_cannot_be_pulled(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_PULL_PATIENCE", 0.2)
    image = f"127.0.0.1:{free_port()}/nothing:1"
    engine = orchestrator.jobs()
    id_ = engine.submit(job("z-pulled", image=image))
    status = end_of(engine, id_)
    engine.remove(id_)
    engine.close()
    assert status.state is JobState.FAILED
    assert status.reason.startswith(f'ImagePullBackOff (Back-off pulling image "{image}"')
    (check,) = (
        c for c in orchestrator.updated({"custom_docker_base_image_name": image}).check() if c.what == "image"
    )
    assert check.outcome is CheckOutcome.FAILED
    assert check.message.startswith(f"A pod of {image!r} does not begin: ")
    assert check.remedy == "Is the name right, and may the nodes pull it? See image_pull_secrets."


def test_a_registry_that_wants_a_password(
    cluster: FakeKubernetes,
    docker_engine: DockerEngine,
    guarded_image_registry: ImageRegistry,
    orchestrator: KubernetesOrchestrator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "_PULL_PATIENCE", 2.0)
    engine = orchestrator.jobs()
    registry = guarded_image_registry
    image, login = f"{registry.address}/tests/kubernetes:1", (registry.username, registry.password)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    with docker_engine.client() as client:
        client.api.import_image_from_data(archive.getvalue(), repository=image.removesuffix(":1"), tag="1")
        client.images.push(image, auth_config={"username": login[0], "password": login[1]})
        client.images.remove(image)
    ids = [
        engine.submit(job("z-without", image=image)),
        engine.submit(job("z-with", image=image, registry_login=login)),
    ]
    assert "no basic auth credentials" in end_of(engine, ids[0]).reason
    # It was pulled, and there is nothing in it.
    assert end_of(engine, ids[1]).reason.startswith("exit code 128; StartError (")
    engine.close()
    with docker_engine.client() as client:
        client.images.remove(image, force=True)
    # As `kubectl create secret docker-registry team` makes one.
    login_there = {"username": registry.username, "password": registry.password}
    content = json.dumps({"auths": {registry.address: login_there}}).encode()
    cluster.secrets["team"] = {
        "metadata": {"name": "team"},
        "data": {".dockerconfigjson": base64.b64encode(content).decode()},
    }
    other = orchestrator.updated({"image_pull_secrets": ["team"]}).jobs()
    id_ = other.submit(job("z-team", image=image))
    assert end_of(other, id_).reason.startswith("exit code 128; StartError (")
    other.close()
    del cluster.secrets["team"]


def test_a_node_that_does_not_say_that_a_pod_has_ended(
    engine: JobEngine, orchestrator: KubernetesOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_END_PATIENCE", 0.0)
    id_ = engine.submit(job("z-silent", "import time; time.sleep(60)", image=orchestrator.image_base))
    until(engine, id_, lambda status: status.state is JobState.RUNNING)
    engine.cancel(id_)
    assert end_of(engine, id_).reason == "its node does not say that it has ended"


def test_a_pod_that_is_never_made(
    engine: JobEngine,
    orchestrator: KubernetesOrchestrator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(jobs, "_POD_PATIENCE", 0.1)
    stranger = orchestrator.updated({"service_account_name": "stranger"}).jobs()
    id_ = stranger.submit(job("z-none", image=orchestrator.image_base))
    status = until(stranger, id_, lambda status: bool(status.reason))
    stranger.remove(id_)
    stranger.close()
    assert status.state is JobState.WAITING
    assert status.reason.endswith("is forbidden: error looking up service account zenml/stranger")
    assert status.reason in caplog.text


def test_an_answer_that_is_lost_makes_no_second_job(
    cluster: FakeKubernetes,
    engine: JobEngine,
    orchestrator: KubernetesOrchestrator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(jobs, "_PAUSES", (0.05, 0.05))
    cluster.lost_answers = 2
    id_ = engine.submit(job("z-once", image=orchestrator.image_base, secrets="{}"))
    assert end_of(engine, id_).state is JobState.SUCCEEDED
    engine.remove(id_)


# Before a run


@pipeline
def one_step() -> None:
    programs.number()


def refusal(orchestrator: KubernetesOrchestrator, stores: dict[str, StackComponent], folder: Path) -> str:
    """What is said of a run that is refused; nothing of it is recorded."""
    with isolated_stack(
        folder / "world", secrets={"a": {"b": "c"}}, orchestrator=orchestrator, **stores
    ) as stack:
        with pytest.raises(StackValidationError) as raised:
            one_step().run()
        assert stack.metadata_store.count_runs() == 0
    failed = [check.message for check in orchestrator.check() if check.outcome is CheckOutcome.FAILED]
    assert failed == [str(raised.value)]
    return str(raised.value)


@pytest.fixture
def use(cluster: FakeKubernetes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Write another kubeconfig."""

    def use_(*, server: str | None = None, authority: Path | None = None, token: str | None = None) -> None:
        path = tmp_path / "kubeconfig"
        write_kubeconfig(
            path, server or cluster.url, authority or cluster.folder / "authority.pem", token or cluster.admin
        )
        monkeypatch.setenv("KUBECONFIG", str(path))

    return use_


Use = Callable[..., None]
Stores = dict[str, StackComponent]


def test_a_server_that_refuses_connections(
    orchestrator: KubernetesOrchestrator, stores: Stores, use: Use, tmp_path: Path
) -> None:
    server = f"https://127.0.0.1:{free_port()}"
    use(server=server)
    assert refusal(orchestrator, stores, tmp_path) == (
        f"The Kubernetes API server {server} does not answer: the connection is refused; see that it runs there."
    )


def test_a_certificate_that_is_not_trusted(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, stores: Stores, use: Use, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    use(authority=make_certificates(tmp_path / "other")[0])
    said = refusal(orchestrator, stores, tmp_path)
    assert said.startswith(
        f"The Kubernetes API server {cluster.url} does not answer: its certificate is not trusted ("
    )
    assert said.endswith("); see `certificate-authority` in the kubeconfig.")


def test_credentials_that_are_not_accepted(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, stores: Stores, use: Use, tmp_path: Path
) -> None:
    use(token="wrong-canary")
    assert refusal(orchestrator, stores, tmp_path) == (
        f"The Kubernetes API server {cluster.url} does not accept the credentials of this user: renew them, as you do for kubectl."
    )


def test_a_certificate_that_ends_soon(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, use: Use, tmp_path: Path
) -> None:
    use()
    path = tmp_path / "kubeconfig"
    content = yaml.safe_load(path.read_text())
    chain = str(cluster.folder / "server.pem")
    content["users"][0]["user"] |= {"client-certificate": chain, "client-key": chain}
    path.write_text(yaml.safe_dump(content))
    (check,) = (c for c in orchestrator.check() if c.outcome is not CheckOutcome.OK)
    assert (check.what, check.outcome) == ("credentials", CheckOutcome.WARNING)


def test_rights_that_are_missing(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, stores: Stores, use: Use, tmp_path: Path
) -> None:
    cluster.forbidden["reader"] = {("create", "secrets"), ("delete", "jobs"), ("get", "pods/log")}
    use(token="reader")
    assert refusal(orchestrator.updated({"custom_docker_base_image_name": None}), stores, tmp_path) == (
        f"Whoever runs pipelines on {cluster.url} may not delete jobs, get pods/log, create secrets in the namespace 'zenml': give them a "
        "Role with these rights."
    )


def test_a_namespace_that_is_not_there(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, stores: Stores, tmp_path: Path
) -> None:
    elsewhere = orchestrator.updated({"kubernetes_namespace": "other"})
    with (
        isolated_stack(tmp_path / "world", secrets={"a": {"b": "c"}}, orchestrator=elsewhere, **stores),
        pytest.raises(StackValidationError) as raised,
    ):
        one_step().run()
    assert str(raised.value) == (
        f"The cluster {cluster.url} has no namespace 'other': make it with `kubectl create namespace other`, or set the component's "
        "kubernetes_namespace to another one."
    )
    with pytest.raises(RunError, match="namespace 'other', or set the component's kubernetes_namespace"):
        elsewhere.jobs().submit(job("z-lost", image="image"))


def test_a_kubernetes_that_is_too_old(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, monkeypatch
) -> None:
    monkeypatch.setattr(cluster, "version", "v1.21.14+k3s1")
    (check,) = (c for c in orchestrator.check() if c.what == "version")
    assert (
        check.message
        == "The cluster has Kubernetes v1.21.14+k3s1; expected 1.23 or newer: bring it up to date."
    )


@step(resources=Resources(cpu=2, memory="16GB", gpu=1))
def greedy() -> int:
    return 1


@pipeline
def needing() -> None:
    greedy()


@step(resources=Resources(custom={"license": 1}))
def licensed() -> int:
    return 1


@pipeline
def licensing() -> None:
    licensed()


def test_a_step_that_fits_on_no_node(
    cluster: FakeKubernetes,
    orchestrator: KubernetesOrchestrator,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tainted = [{"key": "gpu", "effect": "NoSchedule"}]
    nodes = [
        node("small", cpu="1500m", memory="8Gi"),
        node("gpu", cpu="8", memory="64Gi", gpu="2", taints=tainted, labels={"pool": "gpu"}),
    ]
    monkeypatch.setattr(cluster, "nodes", nodes)
    with isolated_stack(
        tmp_path / "world", secrets={"a": {"b": "c"}}, orchestrator=orchestrator, **stores
    ) as stack:
        with pytest.raises(StackValidationError) as raised:
            needing().run()
        assert str(raised.value) == (
            "No node that the orchestrator 'kubernetes' may use has what these steps need:\n"
            "  the step 'greedy' needs cpu: 2, of 1.5\n"
            "  the step 'greedy' needs memory: 16 GB, of 8.59 GB\n"
            "  the step 'greedy' needs gpu: 1, of 0\n"
            "Let them ask for less, or add such a node. If the cluster adds nodes by itself, set the field `grows`."
        )
        with pytest.raises(
            StackValidationError, match="Kubernetes has no resource 'license': name them as the nodes"
        ):
            licensing().run()
        assert stack.metadata_store.count_runs() == 0
    spec = StepSpec("greedy", "m:greedy", "greedy", resources=ResourceSpec(2, 16 * 10**9, 1))
    deployment = Deployment("p", "r", uuid4(), (spec,), StackSpec("s", {}))
    orchestrator.updated({"grows": True}).check_deployment(deployment)
    tolerant = orchestrator.updated({"tolerations": [{"key": "gpu", "operator": "Exists"}]})
    tolerant.check_deployment(deployment)
    with pytest.raises(StackValidationError, match="the step 'greedy' needs cpu: 2, of 0"):
        tolerant.updated({"node_selector": {"pool": "none"}}).check_deployment(deployment)
    cluster.forbidden[cluster.admin] = {("list", "nodes")}
    try:
        orchestrator.check_deployment(deployment)  # who may not look at nodes is not refused
    finally:
        cluster.forbidden[cluster.admin] = set()


def test_a_pod_that_waits_for_room_says_so(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, caplog: pytest.LogCaptureFixture
) -> None:
    engine = orchestrator.jobs()
    id_ = engine.submit(job("z-waits", image=orchestrator.image_base, resources=ResourceSpec(gpu=1)))
    status = until(engine, id_, lambda status: bool(status.reason))
    engine.cancel(id_)
    end_of(engine, id_)
    engine.close()
    assert status.reason == "Unschedulable (0/1 nodes are available: 1 Insufficient nvidia.com/gpu)"
    assert f"A step waits for the Kubernetes cluster: {status.reason}." in caplog.text


# During a run


def beside(cluster: FakeKubernetes, step_name: str, work: Callable[[str], object]) -> threading.Thread:
    """Do something when a pod of the step runs."""

    def watch() -> None:
        deadline = time.monotonic() + SECONDS
        while not (found := cluster.running(step_name)) and time.monotonic() < deadline:
            time.sleep(0.05)
        work(found[0])

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_an_evicted_pod_is_a_crashed_step(
    cluster: FakeKubernetes, orchestrator: KubernetesOrchestrator, stores: Stores, tmp_path: Path
) -> None:
    with isolated_stack(tmp_path / "world", secrets={"a": {"b": "c"}}, orchestrator=orchestrator, **stores):
        other = beside(
            cluster, "wait", lambda id_: cluster.evict(id_, "The node was low on resource: memory.")
        )
        with pytest.raises(StepCrashedError) as raised:
            programs.waiting().run()
        other.join()
        run = last_run()
    assert (
        "The job of the step 'wait' has ended and recorded no end of the step: exit code 137; Evicted (its node had too little left, The "
        "node was low on resource: memory)."
    ) in str(raised.value)
    assert run.status is ExecutionStatus.FAILED
    assert run.get_step("wait").status is ExecutionStatus.CRASHED
    assert run.get_step("behind").status is ExecutionStatus.SKIPPED


def test_a_cluster_that_goes_away_ends_the_run(
    cluster: FakeKubernetes,
    orchestrator: KubernetesOrchestrator,
    stores: Stores,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(job_executor, "_PATIENCE", 1.0)

    def go(id_: str) -> None:
        cluster.is_gone = True

    with isolated_stack(tmp_path / "world", secrets={"a": {"b": "c"}}, orchestrator=orchestrator, **stores):
        other = beside(cluster, "wait", go)
        try:
            with pytest.raises(StepCrashedError) as raised:
                programs.waiting().run()
        finally:
            other.join()
            cluster.is_gone = False
        run = last_run()
        assert f"The Kubernetes API server {cluster.url} does not answer" in str(raised.value)
        assert run.status is ExecutionStatus.FAILED
        assert run.get_step("wait").status is ExecutionStatus.CRASHED
        # The step's process, which nobody can end any more, sees that the run is over. The cluster removes its Job some time later.
        deadline = time.monotonic() + SECONDS
        while cluster.running("wait"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
    cluster.remove_ended()
