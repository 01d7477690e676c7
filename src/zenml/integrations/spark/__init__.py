"""Spark: a step operator."""
