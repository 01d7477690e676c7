"""`zenml <type>`: the commands of a type of component, the same for every type."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zenml.cli.completion import component_names, profile_names
from zenml.cli.flavor import flavor_group
from zenml.cli.groups import FieldNamesCommand, FieldsCommand, Group, dashed
from zenml.cli.session import Session
from zenml.cli.tables import Table, marker
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.exceptions import ConfigurationError, DoesNotExistException, nearest
from zenml.secret.references import has_reference

if TYPE_CHECKING:
    from zenml.enums import StackComponentType
    from zenml.model.records import ComponentRecord
    from zenml.stack import StackComponent

_MASK = "***"


def component_group(type_: StackComponentType) -> Group:
    """The commands of a type."""
    display, plural = type_.display, type_.plural.replace("_", " ")
    names = component_names(type_)
    name = click.argument("name", shell_complete=names)
    optional_name = click.argument("name", required=False, shell_complete=names)
    group = Group(
        dashed(type_.value),
        help=f"Register and manage {plural}.",
        short_help=f"Register and manage {plural}.",
    )
    group.add_command(flavor_group(type_))

    @group.command(
        "register",
        cls=FieldsCommand,
        short_help=f"Register a new {display}.",
        help=_REGISTER.format(display=display, type=dashed(type_.value)),
    )
    @click.argument("name")
    @click.option(
        "-f", "--flavor", required=True, help=f"The flavor: see `zenml {dashed(type_.value)} flavor list`."
    )
    @pass_terminal
    def register(terminal: Terminal, name: str, flavor: str, fields: dict[str, str]) -> None:
        repository = Session.open(terminal).repository
        class_ = repository.get_flavor(flavor, type_)
        component = class_(name=name, **parsed(class_, fields))
        repository.register_stack_component(component)
        terminal.say(f"Successfully registered {display} `{name}`.")

    @group.command("list", help=f"List the {plural} of the active profile.")
    @output_option
    @pass_terminal
    def list_(terminal: Terminal) -> None:
        session = Session.open(terminal, stack=True)
        active = session.active_component(type_)
        records = session.registry.components(type_)
        fields = list(dict.fromkeys(field for record in records for field in sorted(record.configuration)))
        rows = [
            (
                marker(record.name == active),
                record.name,
                record.flavor,
                record.uuid,
                *map(_shown(record).get, fields),
            )
            for record in records
        ]
        columns = ("ACTIVE", "NAME", "FLAVOR", "UUID", *(field.upper() for field in fields))
        table = Table(columns, rows, marked=True) if rows else None
        terminal.show(
            [{"active": record.name == active, **_document(record)} for record in records],
            table,
            f"No {plural} registered.",
        )

    @group.command(
        "describe", help=f"Show the configuration of one {display}: of the active one unless NAME is given."
    )
    @optional_name
    @output_option
    @pass_terminal
    def describe(terminal: Terminal, name: str | None) -> None:
        session = Session.open(terminal, stack=True)
        record = session.component(type_, name)
        is_active = record.name == session.active_component(type_)
        fields = sorted(_shown(record).items())
        table = Table(
            ("COMPONENT_PROPERTY", "VALUE"),
            [
                ("TYPE", record.type),
                ("FLAVOR", record.flavor),
                ("NAME", record.name),
                ("UUID", record.uuid),
                *((field.upper(), value) for field, value in fields),
            ],
            title=f"{type_.value.upper()} Component Configuration{' (ACTIVE)' if is_active else ''}",
        )
        terminal.show({"active": is_active, **_document(record)}, table)

    @group.command("get", help=f"Print the name of the active {display}.")
    @pass_terminal
    def get(terminal: Terminal) -> None:
        session = Session.open(terminal, stack=True)
        active = session.active_component(type_)
        if active is None:
            terminal.say(f"No {display} set for active stack ('{session.active_stack}').")
        else:
            terminal.say(f"Active {display}: '{active}'")

    @group.command(
        "update",
        cls=FieldsCommand,
        help=f"Change fields of a {display}: of the active one unless NAME is given.",
    )
    @optional_name
    @pass_terminal
    def update(terminal: Terminal, name: str | None, fields: dict[str, str]) -> None:
        if not fields:
            raise click.UsageError("Nothing to update: give at least one --field=value.")
        _refuse_mandatory(fields)
        session = Session.open(terminal)
        component = session.repository.get_stack_component(type_, session.component(type_, name).name)
        session.repository.update_stack_component(
            component.name, type_, component.updated(parsed(type(component), fields))
        )
        terminal.say(f"Successfully updated {display} `{component.name}`.")

    @group.command(
        "remove-attribute",
        cls=FieldNamesCommand,
        help=f"Set optional fields of a {display} back to their defaults.",
    )
    @name
    @pass_terminal
    def remove_attribute(terminal: Terminal, name: str, fields: list[str]) -> None:
        if not fields:
            raise click.UsageError("Nothing to remove: give at least one --field.")
        _refuse_mandatory(fields)
        session = Session.open(terminal)
        record = session.registry.component(type_, name)
        class_ = session.repository.get_flavor(record.flavor, type_)
        for field in fields:
            if field not in class_.model_fields:
                known = set(class_.model_fields) - {"name", "uuid"}
                raise ConfigurationError(
                    f"The flavor '{record.flavor}' has no field '{field}'.{nearest(field, known)}"
                )
            if class_.model_fields[field].is_required():
                raise ConfigurationError(
                    f"The field '{field}' is required: it can be changed with `update`, but not removed."
                )
        rest = {field: value for field, value in record.configuration.items() if field not in fields}
        session.repository.update_stack_component(
            name, type_, class_.from_record(replace(record, configuration=rest))
        )
        terminal.say(f"Successfully updated {display} `{name}`.")

    @group.command("rename", help=f"Rename a {display}; the stacks that hold it follow.")
    @name
    @click.argument("new_name")
    @pass_terminal
    def rename(terminal: Terminal, name: str, new_name: str) -> None:
        registry = Session.open(terminal).registry
        registry.update_component(type_, name, replace(registry.component(type_, name), name=new_name))
        terminal.say(f"Successfully renamed {display} `{name}` to `{new_name}`.")

    @group.command("copy", help=f"Copy a {display} under a new name, also between profiles.")
    @click.argument("source", metavar="SOURCE_COMPONENT", shell_complete=names)
    @click.argument("target", metavar="TARGET_COMPONENT")
    @click.option(
        "--from",
        "from_",
        metavar="PROFILE",
        shell_complete=profile_names,
        help="The profile to copy from; the active one unless given.",
    )
    @click.option(
        "--to",
        "to",
        metavar="PROFILE",
        shell_complete=profile_names,
        help="The profile to copy to; the active one unless given.",
    )
    @pass_terminal
    def copy(terminal: Terminal, source: str, target: str, from_: str | None, to: str | None) -> None:
        session = Session.open(terminal)
        session.registry_of(from_).copy_component(type_, source, target, session.registry_of(to))
        terminal.say(f"Successfully copied {display} `{source}` to `{target}`.")

    @group.command("delete", help=f"Delete a {display} that no stack holds.")
    @name
    @click.option("-y", "--yes", is_flag=True, help="Do not ask.")
    @pass_terminal
    def delete(terminal: Terminal, name: str, yes: bool) -> None:
        registry = Session.open(terminal).registry
        registry.component(type_, name)
        if not terminal.confirm(f"This will delete the {display} '{name}'. Are you sure?", yes=yes):
            terminal.say("Deletion canceled.")
            return
        registry.deregister_component(type_, name)
        terminal.say(f"Deleted {display}: {name}")

    @group.command(
        "up", help=f"Make and start the resources of a {display}: of the active one unless NAME is given."
    )
    @optional_name
    @pass_terminal
    def up(terminal: Terminal, name: str | None) -> None:
        component = _instance(terminal, type_, name)
        if component.is_running:
            terminal.say(f"The {display} '{component.name}' is already running.")
            return
        if not component.is_provisioned:
            terminal.say(f"Provisioning resources for {display} '{component.name}'.")
            component.provision()
        if not component.is_running:
            terminal.say(f"Resuming resources for {display} '{component.name}'.")
            component.resume()

    @group.command("down", help=f"Stop the resources of a {display}: of the active one unless NAME is given.")
    @optional_name
    @click.option("-f", "--force", is_flag=True, help="Remove the resources instead of keeping them stopped.")
    @pass_terminal
    def down(terminal: Terminal, name: str | None, force: bool) -> None:
        component = _instance(terminal, type_, name)
        if force:
            terminal.say(f"Deprovisioning resources for {display} '{component.name}'.")
            component.deprovision()
        elif component.is_running:
            terminal.say(f"Suspending resources for {display} '{component.name}'.")
            component.suspend()
        else:
            terminal.say(f"The {display} '{component.name}' is not running.")

    @group.command("logs", help=f"Print the log file of a {display}: of the active one unless NAME is given.")
    @optional_name
    @click.option("-f", "--follow", is_flag=True, help="Go on with what is written later, until Ctrl-C.")
    @pass_terminal
    def logs(terminal: Terminal, name: str | None, follow: bool) -> None:
        component = _instance(terminal, type_, name)
        if component.log_file is None:
            raise DoesNotExistException(
                f"The {display} '{component.name}' of flavor '{component.FLAVOR}' has no log file."
            )
        _print_file(component.log_file, follow=follow)

    @group.command("explain", help=f"Explain what {plural} are for.")
    @pass_terminal
    def explain(terminal: Terminal) -> None:
        from importlib import import_module
        from inspect import getdoc

        package = import_module(f"zenml.{type_.plural}")
        base = getattr(package, f"Base{type_.display.title().replace(' ', '')}")
        terminal.page(f"{getdoc(package)}\n\n{base.__name__}: {getdoc(base)}")

    return group


def parsed(class_: type[StackComponent], fields: dict[str, str]) -> dict[str, Any]:
    """The texts of `fields` as values: what a field does not take as text is read as JSON."""
    return {name: _parsed(class_, name, text) for name, text in fields.items()}


_REGISTER = """Register a new {display}.

    The flavor decides which fields it has. Give each one as --field=value or --field value; --field=@file takes the value from a
    file, lists and mappings are written as JSON. A secret is given as a reference, '{{{{secret.key}}}}' or '{{{{env.VARIABLE}}}}';
    in clear, it is moved into the secrets manager of the active stack.

    \b
      zenml {type} register NAME --flavor=FLAVOR --field=value
    """


def _parsed(class_: type[StackComponent], name: str, text: str) -> Any:
    import json
    from typing import Annotated

    from pydantic import TypeAdapter, ValidationError

    field = class_.model_fields.get(name)
    if field is None or has_reference(text):
        return text
    try:
        TypeAdapter(Annotated[field.annotation, field]).validate_python(text)
    except ValidationError:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _refuse_mandatory(fields: list[str] | dict[str, str]) -> None:
    for field in ("name", "uuid"):
        if field in fields:
            raise ConfigurationError(f"The {field} of a component cannot be changed so: there is `rename`.")


def _shown(record: ComponentRecord) -> dict[str, Any]:
    """The configuration; of secret fields only references are shown."""
    return {
        field: _MASK if field in record.secret_fields and not has_reference(value) else value
        for field, value in record.configuration.items()
    }


def _document(record: ComponentRecord) -> dict[str, Any]:
    return {
        "type": record.type.value,
        "name": record.name,
        "flavor": record.flavor,
        "uuid": str(record.uuid),
        "configuration": _shown(record),
    }


def _instance(terminal: Terminal, type_: StackComponentType, name: str | None) -> StackComponent:
    """The component as part of the active stack if it is one, so that its references can be resolved."""
    session = Session.open(terminal, stack=True)
    record = session.component(type_, name)
    if record.name == session.active_component(type_):
        return session.repository.active_stack.components[type_]
    return session.repository.get_stack_component(type_, record.name)


def _print_file(path: str, *, follow: bool) -> None:
    import time

    try:
        file = open(path, encoding="utf-8", errors="replace")  # noqa: SIM115, PTH123 - closed below
    except FileNotFoundError:
        raise DoesNotExistException(
            f"The log file {path!r} does not exist: nothing was written yet."
        ) from None
    with file:
        while True:
            for line in file:
                click.echo(line, nl=False)
            if not follow:
                return
            time.sleep(0.1)
