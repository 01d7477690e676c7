"""The command line: `zenml`."""

from zenml.cli.root import main

__all__ = ["main"]
