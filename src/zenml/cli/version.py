"""`zenml version`."""

from __future__ import annotations

import click

from zenml._version import __version__


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"version: {__version__}")
