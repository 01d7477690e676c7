"""Kubernetes: an orchestrator and a step operator, each attempt of a step a Job."""
