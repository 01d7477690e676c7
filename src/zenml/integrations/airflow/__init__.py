"""Airflow: an orchestrator."""
