"""What is said of pods and to users, without a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, StackValidationError
from zenml.integrations.kubernetes.manifests import is_resource_name
from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
from zenml.integrations.kubernetes.states import is_pulling, of_job, of_pod
from zenml.integrations.kubernetes.step_operators import KubernetesStepOperator
from zenml.jobs import JobState
from zenml.testing import isolated_stack


def pod(phase: str, state: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    containers = [{"state": state}] if state else []
    return {"status": {"phase": phase, "containerStatuses": containers, **status}}


def scheduled(message: str) -> list[dict[str, str]]:
    return [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]


@pytest.mark.parametrize(
    ("told", "state", "reason"),
    [
        (pod("Running"), JobState.RUNNING, ""),
        (pod("Unknown"), JobState.RUNNING, ""),
        (pod("Succeeded"), JobState.SUCCEEDED, ""),
        (pod("Pending"), JobState.WAITING, ""),
        (pod("Pending", {"waiting": {"reason": "ContainerCreating"}}), JobState.WAITING, ""),
        (
            pod("Pending", conditions=scheduled("0/1 nodes are available: 1 Insufficient cpu.")),
            JobState.WAITING,
            "Unschedulable (0/1 nodes are available: 1 Insufficient cpu)",
        ),
        (
            pod("Pending", {"waiting": {"reason": "InvalidImageName", "message": "no image: 'A B'"}}),
            JobState.FAILED,
            "InvalidImageName (no image: 'A B')",
        ),
        (
            pod("Failed", {"terminated": {"exitCode": 3, "reason": "Error"}}),
            JobState.FAILED,
            "exit code 3",
        ),
        (
            pod("Failed", {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}),
            JobState.FAILED,
            "exit code 137; OOMKilled (it used more memory than it may, let the step ask for more by Resources(memory=...))",
        ),
        (
            pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
            JobState.FAILED,
            "Evicted (its node had too little left, The node was low on resource: memory)",
        ),
        (
            pod(
                "Failed",
                {"terminated": {"exitCode": 143, "reason": "Error"}},
                conditions=[
                    {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
                ],
            ),
            JobState.FAILED,
            "exit code 143; PreemptionByScheduler (a pod of higher priority took its place)",
        ),
        (pod("Failed"), JobState.FAILED, "its pod has failed"),
    ],
)
def test_a_pod_in_words(told: dict[str, Any], state: JobState, reason: str) -> None:
    assert (of_pod(told).state, of_pod(told).reason) == (state, reason)


def test_an_image_may_come_yet() -> None:
    waits = of_pod(pod("Pending", {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}))
    assert waits.reason == "ImagePullBackOff (not found)"
    assert is_pulling(waits)
    assert not is_pulling(of_pod(pod("Pending")))


def test_a_job_without_a_pod_in_words() -> None:
    assert of_job({}).state is JobState.WAITING
    over = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}]}
    assert of_job({"status": over}).reason == "BackoffLimitExceeded (its pod has failed, or was deleted)"
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    assert of_job({"status": done}).state is JobState.SUCCEEDED


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("example.com/license", True),
        ("amd.com/gpu", True),
        ("ephemeral-storage", True),
        ("license", False),
        ("a b/c", False),
        ("example.com/", False),
    ],
)
def test_names_of_resources(name: str, is_one: bool) -> None:
    assert is_resource_name(name) is is_one


def test_what_is_no_namespace_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'My_Pipelines' is no name of a namespace"):
        KubernetesOrchestrator(name="kubernetes", kubernetes_namespace="My_Pipelines")


def test_components_of_this_machine_are_refused_before_the_run(tmp_path: Path) -> None:
    orchestrator = KubernetesOrchestrator(name="kubernetes")
    with isolated_stack(tmp_path / "one", orchestrator=orchestrator, secrets={"a": {"b": "c"}}) as stack:
        with pytest.raises(StackValidationError) as raised:
            stack.validate()
        # The secrets manager is on this machine, too: what steps need of it is carried to them.
        assert "metadata store 'default'" in str(raised.value)
        assert "artifact store 'default'" in str(raised.value)
        assert "secrets manager" not in str(raised.value)
    operator = KubernetesStepOperator(name="operator")
    assert operator.spread is Reach.NETWORK
    with (
        isolated_stack(tmp_path / "two", step_operator=operator) as stack,
        pytest.raises(StackValidationError, match="cannot reach the metadata store 'default'"),
    ):
        stack.validate()


def test_a_cluster_that_nobody_knows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(
        StackValidationError, match="Let KUBECONFIG or ~/.kube/config name one, as for kubectl"
    ):
        KubernetesOrchestrator(name="kubernetes").jobs()
    (tmp_path / "config").write_text(
        """
apiVersion: v1
kind: Config
current-context: near
contexts: [{name: near, context: {cluster: near, user: me}}]
clusters: [{name: near, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: me, user: {token: x}}]
"""
    )
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    with pytest.raises(StackValidationError) as raised:
        KubernetesOrchestrator(name="kubernetes", kubernetes_context="far").jobs()
    assert str(raised.value) == (
        f"No Kubernetes cluster is known here by the context 'far': {tmp_path}/config has 'near'. "
        "Set the component's kubernetes_context to one of these."
    )
    with pytest.raises(StackValidationError) as raised:
        KubernetesOrchestrator(name="kubernetes").jobs()
    assert str(raised.value) == (
        "The Kubernetes API server https://127.0.0.1:1 does not answer: the connection is refused; see that it runs there."
    )
