"""Pipelines as DAGs of Airflow."""

from zenml.integrations.airflow.orchestrators.airflow_orchestrator import AirflowOrchestrator

__all__ = ["AirflowOrchestrator"]
