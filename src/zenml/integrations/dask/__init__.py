"""Dask: an orchestrator."""
