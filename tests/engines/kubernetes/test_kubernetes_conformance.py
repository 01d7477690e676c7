"""Orchestrator and step operator of Kubernetes pass the suites, on a fake cluster whose pods are real containers."""

from __future__ import annotations

import pytest

from tests.docker_engine import DockerEngine
from tests.fakes.kubernetes_cluster import FakeKubernetes
from zenml.integrations.kubernetes.orchestrators import KubernetesOrchestrator
from zenml.integrations.kubernetes.step_operators import KubernetesStepOperator
from zenml.orchestrators import BaseOrchestrator
from zenml.stack import StackComponent
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import OrchestratorConformance, StepOperatorConformance

# Each attempt is a container that starts a Python of its own.
pytestmark = pytest.mark.timeout(600)


class TestKubernetesOrchestrator(OrchestratorConformance):
    seconds = 240.0
    width = 4

    @pytest.fixture
    def components(self, stores: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return stores

    @pytest.fixture
    def orchestrator(self, cluster: FakeKubernetes, docker_engine: DockerEngine) -> BaseOrchestrator:
        return KubernetesOrchestrator(
            name="kubernetes", custom_docker_base_image_name=docker_engine.base_image
        )


class TestKubernetesStepOperator(StepOperatorConformance):
    @pytest.fixture
    def components(self, stores: dict[str, StackComponent]) -> dict[str, StackComponent]:
        return stores

    @pytest.fixture
    def step_operator(self, cluster: FakeKubernetes, docker_engine: DockerEngine) -> BaseStepOperator:
        return KubernetesStepOperator(
            name="kubernetes", custom_docker_base_image_name=docker_engine.base_image
        )
