"""The orchestrator and the step operator of Slurm pass the suites, on a real cluster of two nodes."""

from pathlib import Path

import pytest

from zenml.integrations.slurm.orchestrators import SlurmOrchestrator
from zenml.integrations.slurm.step_operators import SlurmStepOperator
from zenml.orchestrators import BaseOrchestrator
from zenml.step_operators import BaseStepOperator
from zenml.testing.conformance import OrchestratorConformance, StepOperatorConformance


class TestSlurm(OrchestratorConformance):
    width = 4

    @pytest.fixture
    def orchestrator(self, slurm: str, tmp_path: Path) -> BaseOrchestrator:
        return SlurmOrchestrator(name="slurm", path=str(tmp_path / "jobs"), poll_seconds=0.2)


class TestSlurmStepOperator(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, slurm: str, tmp_path: Path) -> BaseStepOperator:
        return SlurmStepOperator(name="slurm", path=str(tmp_path / "jobs"), poll_seconds=0.2)
