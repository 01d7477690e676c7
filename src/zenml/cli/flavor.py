"""`zenml <type> flavor`: which implementations of a type there are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zenml.cli.groups import Group, pass_type
from zenml.cli.session import Session
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option

if TYPE_CHECKING:
    from zenml.enums import StackComponentType
    from zenml.model.records import FlavorRecord


@click.group(cls=Group)
def flavor() -> None:
    """See and register the implementations of this type."""


@flavor.command("list")
@output_option
@pass_type
def list_(terminal: Terminal, type_: StackComponentType) -> None:
    """List the flavors. Built-in ones, those of integrations, your own; none is imported."""
    from zenml.stack.flavors import all_flavors

    session = Session.open(terminal)
    flavors = [(f, _is_ready(f, session.root)) for f in all_flavors(type_, session.registry.flavors(type_))]
    table = Table(
        ("FLAVOR", "INTEGRATION", "READY-TO-USE", "SOURCE"),
        [(f.name, f.integration, "✅" if ready else "", f.source) for f, ready in flavors],
    )
    terminal.show(
        [
            {"name": f.name, "integration": f.integration, "ready": ready, "source": f.source}
            for f, ready in flavors
        ],
        table,
    )


@flavor.command()
@click.argument("source")
@pass_type
def register(terminal: Terminal, type_: StackComponentType, source: str) -> None:
    """Register a flavor of your own.

    SOURCE is the import path of its class, package.module.Class, relative to the root of the repository.
    """
    from zenml.model.records import FlavorRecord
    from zenml.stack.flavors import load_flavor

    session = Session.open(terminal)
    unnamed = FlavorRecord(type_, source.rpartition(".")[2], source)
    record = replace(unnamed, name=load_flavor(unnamed, session.root).FLAVOR)
    session.registry.register_flavor(record)
    terminal.say(f"Successfully registered new flavor '{record.name}' for stack component '{type_}'.")


@flavor.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_type
def delete(terminal: Terminal, type_: StackComponentType, name: str, yes: bool) -> None:
    """Forget a flavor of your own that no component is of."""
    registry = Session.open(terminal).registry
    registry.own_flavor(type_, name)
    question = f"This will delete the {type_.display} flavor '{name}'. Are you sure you want to proceed?"
    if not terminal.confirm(question, yes=yes):
        terminal.say("Deletion canceled.")
        return
    registry.deregister_flavor(type_, name)
    terminal.say(f"Deleted {type_.display} flavor: {name}")


def _is_ready(flavor: FlavorRecord, root: Path | None) -> bool:
    from zenml.stack.integrations import integrations

    if flavor.integration:
        return any(i.name == flavor.integration and i.is_installed for i in integrations())
    return _is_importable(flavor.source.rpartition(".")[0], root)


def _is_importable(module: str, root: Path | None) -> bool:
    """Whether there is such a module, found without importing it or its packages."""
    import sys
    from importlib.machinery import PathFinder

    path: list[str] | None = [str(root or ""), *sys.path]
    for part in module.split("."):
        spec = PathFinder.find_spec(part, path) if path is not None else None
        if spec is None:
            return False
        path = None if spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    return True
