"""`zenml <type> flavor`: which implementations of a type there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from zenml.cli.groups import Group
from zenml.cli.session import Session
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal

if TYPE_CHECKING:
    from pathlib import Path

    from zenml.enums import StackComponentType
    from zenml.model.records import FlavorRecord


def flavor_group(type_: StackComponentType) -> Group:
    """The commands about the flavors of a type."""
    display = type_.display
    group = Group("flavor", help=f"See and register the flavors of {type_.plural.replace('_', ' ')}.")

    @group.command(
        "list",
        help=f"List the flavors: built-in ones, those of integrations, your own. No {display} is imported.",
    )
    @output_option
    @pass_terminal
    def list_(terminal: Terminal) -> None:
        from zenml.stack.flavors import all_flavors

        session = Session.open(terminal)
        flavors = [
            (flavor, _is_ready(flavor, session.root))
            for flavor in all_flavors(type_, session.registry.flavors(type_))
        ]
        table = Table(
            ("FLAVOR", "INTEGRATION", "READY-TO-USE", "SOURCE"),
            [
                (flavor.name, flavor.integration, "✅" if ready else "", flavor.source)
                for flavor, ready in flavors
            ],
        )
        terminal.show(
            [
                {
                    "name": flavor.name,
                    "integration": flavor.integration,
                    "ready": ready,
                    "source": flavor.source,
                }
                for flavor, ready in flavors
            ],
            table,
        )

    @group.command(
        "register",
        help=f"Register your own flavor of {display}: SOURCE is the import path of its class, package.module.Class, relative to the root of the repository.",
    )
    @click.argument("source")
    @pass_terminal
    def register(terminal: Terminal, source: str) -> None:
        from zenml.model.records import FlavorRecord
        from zenml.stack.flavors import load_flavor

        session = Session.open(terminal)
        flavor = FlavorRecord(type_, source.rpartition(".")[2], source)
        flavor = replace(flavor, name=load_flavor(flavor, session.root).FLAVOR)
        session.registry.register_flavor(flavor)
        terminal.say(f"Successfully registered new flavor '{flavor.name}' for stack component '{type_}'.")

    @group.command("delete", help="Forget one of your own flavors that no component is of.")
    @click.argument("name")
    @click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    @pass_terminal
    def delete(terminal: Terminal, name: str, yes: bool) -> None:
        registry = Session.open(terminal).registry
        if terminal.confirm(f"This will delete the {display} flavor '{name}'. Are you sure?", yes=yes):
            registry.deregister_flavor(type_, name)
            terminal.say(f"Deleted {display} flavor: {name}")
        else:
            terminal.say("Deletion canceled.")

    return group


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
