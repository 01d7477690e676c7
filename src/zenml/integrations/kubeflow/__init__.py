"""Kubeflow: an orchestrator."""
