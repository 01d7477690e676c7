"""Pipelines on a real Airflow."""

import pytest

from tests.airflow_server import Airflow
from zenml.integrations.airflow.orchestrators import AirflowOrchestrator
from zenml.orchestrators import BaseOrchestrator
from zenml.testing.conformance import OrchestratorConformance

pytestmark = pytest.mark.timeout(400)  # the first test waits for the start of Airflow, too


def orchestrator_of(airflow: Airflow, **more) -> AirflowOrchestrator:
    return AirflowOrchestrator(
        name="airflow",
        url=airflow.url,
        dags_folder=airflow.dags_folder,
        username="ann",
        password=airflow.password,
        **more,
    )


class TestAirflow(OrchestratorConformance):
    cannot = {"map": "a DAG has as many tasks as were written into it"}
    seconds = 120.0
    width = 4

    @pytest.fixture
    def orchestrator(self, airflow: Airflow) -> BaseOrchestrator:
        return orchestrator_of(airflow)
