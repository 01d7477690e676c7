"""The orchestrator and the step operator of Docker pass the suites, in containers of a real engine."""

import pytest

from tests.docker_engine import DockerEngine
from zenml.integrations.docker.step_operators import DockerStepOperator
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import OrchestratorConformance, StepOperatorConformance


class TestDockerOrchestrator(OrchestratorConformance):
    width = 4

    @pytest.fixture
    def orchestrator(self, orchestrator):
        return orchestrator


class TestDockerStepOperator(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, docker_host: DockerEngine) -> BaseStepOperator:
        return DockerStepOperator(name="docker", custom_docker_base_image_name=docker_host.base_image)
