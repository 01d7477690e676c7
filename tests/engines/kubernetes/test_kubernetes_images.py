"""An image on its way from the project to a pod: built by a real engine, pushed to a real registry, and pulled from there."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.docker_engine import DockerEngine, ImageRegistry
from tests.fakes.kubernetes_cluster import FakeKubernetes, write_kubeconfig
from zenml.container_registries import DefaultContainerRegistry
from zenml.exceptions import StackValidationError
from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
from zenml.stack import StackComponent
from zenml.testing import isolated_stack
from zenml.testing.assertions import assert_ran
from zenml.testing.conformance import programs


@pytest.fixture
def orchestrator(docker_engine: DockerEngine) -> KubernetesOrchestrator:
    return KubernetesOrchestrator(name="kubernetes", custom_docker_base_image_name=docker_engine.base_image)


@pytest.fixture
def _apart(docker_engine: DockerEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes do not share the engine that builds: what is pushed is taken away there."""
    push = DefaultContainerRegistry.push_image

    def push_away(self: DefaultContainerRegistry, image_name: str, *builder: Any) -> None:
        push(self, image_name, *builder)
        with docker_engine.client() as client:
            client.images.remove(image_name)

    monkeypatch.setattr(DefaultContainerRegistry, "push_image", push_away)


@pytest.mark.usefixtures("_apart")
def test_an_image_is_built_pushed_and_pulled_with_the_login_of_the_stacks_registry(
    cluster: FakeKubernetes,
    orchestrator: KubernetesOrchestrator,
    guarded_image_registry: ImageRegistry,
    stores: dict[str, StackComponent],
    tmp_path: Path,
) -> None:
    address = guarded_image_registry.address
    login = {"username": guarded_image_registry.username, "password": guarded_image_registry.password}
    registry = DefaultContainerRegistry(name="team", uri=f"{address}/team", authentication_secret="login")
    with isolated_stack(
        tmp_path / "world",
        secrets={"login": login},
        orchestrator=orchestrator,
        container_registry=registry,
        **stores,
    ) as stack:
        assert_ran(programs.chain(length=2).run())
        (image,) = cluster.pulled
        assert image.startswith(f"{registry.uri}/zenml:")
        assert stack.container_registry is not None
        assert stack.container_registry.has_image(image)
    jobs = [document for document in cluster.made if document["kind"] == "Job"]
    assert len(jobs) == 2
    for job in jobs:
        pod, name = job["spec"]["template"]["spec"], job["metadata"]["name"]
        assert [container["image"] for container in pod["containers"]] == [image]
        assert pod["imagePullSecrets"] == [{"name": f"{name}-login"}]
        owned = {
            secret["metadata"]["name"]: secret
            for secret in cluster.made
            if any(owner["name"] == name for owner in secret["metadata"].get("ownerReferences", ()))
        }
        pull = owned[f"{name}-login"]
        assert pull["type"] == "kubernetes.io/dockerconfigjson"
        content = json.loads(base64.b64decode(pull["data"][".dockerconfigjson"]))
        assert content["auths"][address].items() >= login.items()
        # The step itself is not told.
        assert login["password"] not in str(job) + str(
            [base64.b64decode(value) for value in owned[name]["data"].values()]
        )


def test_a_registry_of_this_machine_is_refused_for_a_cluster_elsewhere(
    cluster: FakeKubernetes,
    orchestrator: KubernetesOrchestrator,
    stores: dict[str, StackComponent],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registry = DefaultContainerRegistry(name="team", uri="localhost:5000/team")
    with isolated_stack(
        tmp_path / "world",
        secrets={"a": {"b": "c"}},
        orchestrator=orchestrator,
        container_registry=registry,
        **stores,
    ) as stack:
        stack.validate()
        far = tmp_path / "kubeconfig"
        write_kubeconfig(
            far, "https://cluster.example.org:6443", cluster.folder / "authority.pem", cluster.admin
        )
        monkeypatch.setenv("KUBECONFIG", str(far))
        with pytest.raises(StackValidationError) as refused:
            stack.validate()
    assert str(refused.value) == (
        "The container registry 'team' can only be used from the same host, but the steps of the orchestrator 'kubernetes' run on other "
        "ones: choose a container registry that they can reach."
    )
