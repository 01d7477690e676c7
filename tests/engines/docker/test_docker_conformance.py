"""The orchestrator and the step operator of Docker pass the suites, in containers of a real engine."""

import pytest

from tests.docker_engine import DockerEngine
from tests.graph_engine import GraphOrchestrator
from zenml.integrations.docker.step_operators import DockerStepOperator
from zenml.step_operators import BaseStepOperator
from zenml.testing.assertions import assert_ran
from zenml.testing.conformance import OrchestratorConformance, StepOperatorConformance, programs
from zenml.testing.isolation import isolated_stack

FEW = 50
"""No container for a step has had as many processes."""


class TestDockerOrchestrator(OrchestratorConformance):
    width = 4

    @pytest.fixture
    def orchestrator(self, orchestrator):
        return orchestrator


class TestDockerStepOperator(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, docker_host: DockerEngine) -> BaseStepOperator:
        return DockerStepOperator(name="docker", custom_docker_base_image_name=docker_host.base_image)


def test_a_node_of_a_graph_hands_its_step_on(docker_host: DockerEngine) -> None:
    operator = DockerStepOperator(name="operator", custom_docker_base_image_name=docker_host.base_image)
    with isolated_stack(
        secrets={"service": {"user": "ann"}},
        orchestrator=GraphOrchestrator(name="graph"),
        step_operator=operator,
    ):
        run = programs.over_there(value=7).run()
        assert_ran(run)
        assert run.get_step("elsewhere").output.read()["pid"] < FEW
