"""Pipelines that run by themselves: when they are due, and the process that starts them."""
