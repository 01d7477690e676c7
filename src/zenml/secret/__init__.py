"""Secrets: their schemas, and references to them."""
