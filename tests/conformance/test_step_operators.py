"""Our step operator, and the smallest one, pass the suite."""

import os
import subprocess
from pathlib import Path
from typing import ClassVar

import pytest

from zenml.enums import Reach
from zenml.exceptions import RunError
from zenml.step_operators import BaseStepOperator, VenvStepOperator
from zenml.testing.conformance import StepOperatorConformance


class SubprocessStepOperator(BaseStepOperator):
    """The smallest operator, as the interface's docstring shows it."""

    FLAVOR: ClassVar[str] = "subprocess"

    @property
    def spread(self) -> Reach:
        return Reach.HOST

    def launch(self, pipeline_name, run_name, requirements, entrypoint_command):
        try:
            subprocess.run(entrypoint_command, check=True)
        except subprocess.CalledProcessError as error:
            raise RunError(f"The command ended with {error.returncode}.") from error


class TestSubprocess(StepOperatorConformance):
    cannot: ClassVar[dict[str, str]] = {"resources": "its docstring's example looks at none"}

    @pytest.fixture
    def step_operator(self, monkeypatch) -> BaseStepOperator:
        # The process there imports the operator's class from this file.
        path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        monkeypatch.setenv("PYTHONPATH", path)
        return SubprocessStepOperator(name="own")


@pytest.fixture(scope="module")
def environments(tmp_path_factory):
    return tmp_path_factory.mktemp("environments")


class TestVenv(StepOperatorConformance):
    @pytest.fixture
    def step_operator(self, environments) -> BaseStepOperator:
        return VenvStepOperator(name="own", path=str(environments))
