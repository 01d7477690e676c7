"""`zenml <type>`: the commands of a type of component, the same for every type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import click

from zenml.cli.completion import component_names, profile_names
from zenml.cli.flavor import flavor
from zenml.cli.groups import ComponentGroup, FieldNamesCommand, FieldsCommand, dashed, pass_type
from zenml.cli.session import Session
from zenml.cli.tables import Table, marker
from zenml.cli.terminal import Terminal, output_option
from zenml.exceptions import ConfigurationError, DoesNotExistException, nearest
from zenml.secret.references import has_reference

if TYPE_CHECKING:
    from zenml.enums import StackComponentType
    from zenml.model.records import ComponentRecord
    from zenml.stack import StackComponent

_MASK = "***"

_name = click.argument("name", shell_complete=component_names)
_optional_name = click.argument("name", required=False, shell_complete=component_names)
_commands = click.Group()
_commands.add_command(flavor)


def component_group(type_: StackComponentType) -> ComponentGroup:
    """The commands of a type."""
    help = f"Register and manage {type_.plural.replace('_', ' ')}."
    return ComponentGroup(type_, name=dashed(type_.value), help=help, commands=_commands.commands)


@_commands.command(cls=FieldsCommand)
@click.argument("name")
@click.option("-f", "--flavor", required=True, help="Which implementation it is: see `flavor list`.")
@click.option("-i", "--interactive", is_flag=True, help="Ask for the required fields that are not given.")
@pass_type
def register(  # noqa: PLR0917 - click passes all but the first two by name
    terminal: Terminal,
    type_: StackComponentType,
    name: str,
    flavor: str,
    interactive: bool,
    fields: dict[str, str],
) -> None:
    """Register a new component.

    The flavor decides which fields it has. Give each one as --field=value or --field value; --field=@file takes the value from
    a file, lists and mappings are written as JSON. A secret is given as a reference, '{{secret.key}}' or '{{env.VARIABLE}}'; in
    clear, it is moved into the secrets manager of the active stack.
    """
    repository = Session.open(terminal).repository
    class_ = repository.get_flavor(flavor, type_)
    if interactive:
        fields |= _asked(terminal, class_, fields)
    repository.register_stack_component(class_(name=name, **_parsed(class_, fields)))
    terminal.say(f"Successfully registered {type_.display} `{name}`.")


@_commands.command("list")
@output_option
@pass_type
def list_(terminal: Terminal, type_: StackComponentType) -> None:
    """List the components of this type in the active profile."""
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
    terminal.show(
        [_document(record, active) for record in records],
        Table(columns, rows, marked=True) if rows else None,
        f"No {type_.plural.replace('_', ' ')} registered.",
    )


@_commands.command()
@_optional_name
@output_option
@pass_type
def describe(terminal: Terminal, type_: StackComponentType, name: str | None) -> None:
    """Show the configuration of one. The active one, unless NAME is given."""
    session = Session.open(terminal, stack=True)
    record = session.component(type_, name)
    document = _document(record, session.active_component(type_))
    rows: list[tuple[str, object]] = [
        (key.upper(), document[key]) for key in ("type", "flavor", "name", "uuid")
    ]
    rows += [(field.upper(), value) for field, value in sorted(_shown(record).items())]
    title = f"{type_.value.upper()} Component Configuration{' (ACTIVE)' if document['active'] else ''}"
    terminal.show(document, Table(("COMPONENT_PROPERTY", "VALUE"), rows, title=title))


@_commands.command()
@pass_type
def get(terminal: Terminal, type_: StackComponentType) -> None:
    """Print the name of the active one."""
    session = Session.open(terminal, stack=True)
    active = session.active_component(type_)
    if active is None:
        terminal.say(f"No {type_.display} set for active stack ('{session.active_stack}').")
    else:
        terminal.say(f"Active {type_.display}: '{active}'")


@_commands.command(cls=FieldsCommand)
@_optional_name
@pass_type
def update(terminal: Terminal, type_: StackComponentType, name: str | None, fields: dict[str, str]) -> None:
    """Change fields of one. The active one, unless NAME is given; fields are written as for `register`."""
    if not fields:
        raise click.UsageError("Nothing to update: give at least one --field=value.")
    _refuse_mandatory(fields)
    session = Session.open(terminal)
    record = session.component(type_, name)
    class_ = session.repository.get_flavor(record.flavor, type_)
    if gone := [f"--{field}" for field in record.configuration if field not in class_.model_fields]:
        raise ConfigurationError(
            f"The {type_.display} '{record.name}' has fields that its flavor no longer knows: drop them first with "
            f"`zenml {dashed(type_.value)} remove-attribute {record.name} {' '.join(gone)}`."
        )
    changed = class_(
        name=record.name, uuid=record.uuid, **{**record.configuration, **_parsed(class_, fields)}
    )
    session.repository.update_stack_component(record.name, type_, changed)
    terminal.say(f"Successfully updated {type_.display} `{record.name}`.")


@_commands.command("remove-attribute", cls=FieldNamesCommand)
@_name
@pass_type
def remove_attribute(
    terminal: Terminal, type_: StackComponentType, name: str, fields: dict[str, str]
) -> None:
    """Set optional fields back to their defaults. Each is given as --field.

    A field that the component has, but its flavor no longer knows, is dropped.
    """
    if not fields:
        raise click.UsageError("Nothing to remove: give at least one --field.")
    _refuse_mandatory(fields)
    session = Session.open(terminal)
    record = session.registry.component(type_, name)
    class_ = session.repository.get_flavor(record.flavor, type_)
    known = fields.keys() & class_.model_fields.keys()
    for field in fields:
        if field not in known and field not in record.configuration:
            raise ConfigurationError(
                f"The flavor '{record.flavor}' has no field '{field}'."
                f"{nearest(field, set(class_.model_fields) - {'name', 'uuid'})}"
            )
        if field in known and class_.model_fields[field].is_required():
            raise ConfigurationError(f"The field '{field}' is required: change it with `update` instead.")
    rest = {field: value for field, value in record.configuration.items() if field not in fields}
    changed = replace(record, configuration=rest)
    if known:
        session.repository.update_stack_component(name, type_, class_.from_record(changed))
    else:  # the rest need not fit the changed flavor yet
        session.registry.update_component(type_, name, changed)
    terminal.say(f"Successfully updated {type_.display} `{name}`.")


@_commands.command()
@_name
@click.argument("new_name")
@pass_type
def rename(terminal: Terminal, type_: StackComponentType, name: str, new_name: str) -> None:
    """Rename one; the stacks that hold it follow."""
    registry = Session.open(terminal).registry
    registry.update_component(type_, name, replace(registry.component(type_, name), name=new_name))
    terminal.say(f"Successfully renamed {type_.display} `{name}` to `{new_name}`.")


@_commands.command()
@click.argument("source", metavar="SOURCE_COMPONENT", shell_complete=component_names)
@click.argument("target", metavar="TARGET_COMPONENT")
@click.option(
    "--from", "from_", metavar="PROFILE", shell_complete=profile_names, help="Default: the active profile."
)
@click.option("--to", metavar="PROFILE", shell_complete=profile_names, help="Default: the active profile.")
@pass_type
def copy(  # noqa: PLR0917 - click passes all but the first two by name
    terminal: Terminal, type_: StackComponentType, source: str, target: str, from_: str | None, to: str | None
) -> None:
    """Copy one under a new name, also between profiles."""
    session = Session.open(terminal)
    session.registry_of(from_).copy_component(type_, source, target, session.registry_of(to))
    terminal.say(f"Successfully copied {type_.display} `{source}` to `{target}`.")


@_commands.command()
@_name
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_type
def delete(terminal: Terminal, type_: StackComponentType, name: str, yes: bool) -> None:
    """Delete one that no stack holds."""
    registry = Session.open(terminal).registry
    registry.component(type_, name)
    if not terminal.confirm(
        f"This will delete {type_.display} '{name}'. Are you sure you want to proceed?", yes=yes
    ):
        terminal.say("Deletion canceled.")
        return
    registry.deregister_component(type_, name)
    terminal.say(f"Deleted {type_.display}: {name}")


@_commands.command()
@_optional_name
@pass_type
def up(terminal: Terminal, type_: StackComponentType, name: str | None) -> None:
    """Make and start the resources of one. The active one, unless NAME is given."""
    component = _instance(terminal, type_, name)
    what = f"{type_.display} '{component.name}'"
    if component.is_running:
        terminal.say(f"The {what} is already running.")
        return
    if not component.is_provisioned:
        terminal.say(f"Provisioning resources for {what}.")
        component.provision()
    if not component.is_running:
        terminal.say(f"Resuming resources for {what}.")
        component.resume()


@_commands.command()
@_optional_name
@click.option("-f", "--force", is_flag=True, help="Remove the resources instead of keeping them stopped.")
@pass_type
def down(terminal: Terminal, type_: StackComponentType, name: str | None, force: bool) -> None:
    """Stop the resources of one. The active one, unless NAME is given."""
    component = _instance(terminal, type_, name)
    what = f"{type_.display} '{component.name}'"
    if force:
        terminal.say(f"Deprovisioning resources for {what}.")
        component.deprovision()
    elif component.is_running:
        terminal.say(f"Suspending resources for {what}.")
        component.suspend()
    else:
        terminal.say(f"The {what} is not running.")


@_commands.command()
@_optional_name
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written later, until Ctrl-C.")
@pass_type
def logs(terminal: Terminal, type_: StackComponentType, name: str | None, follow: bool) -> None:
    """Print the log file of one. The active one, unless NAME is given."""
    component = _instance(terminal, type_, name)
    if component.log_file is None:
        raise DoesNotExistException(
            f"The {type_.display} '{component.name}' of flavor '{component.FLAVOR}' has no log file."
        )
    _print_file(component.log_file, follow=follow)


@_commands.command()
@pass_type
def explain(terminal: Terminal, type_: StackComponentType) -> None:
    """Explain what components of this type are for."""
    from importlib import import_module
    from inspect import getdoc

    package = import_module(f"zenml.{type_.plural}")
    base = getattr(package, f"Base{type_.display.title().replace(' ', '')}")
    terminal.page(f"{getdoc(package)}\n\n{base.__name__}: {getdoc(base)}")


def _asked(terminal: Terminal, class_: type[StackComponent], given: Mapping[str, str]) -> dict[str, str]:
    """What the user answers for each required field that is not given; an empty answer leaves it out."""
    secret = class_.secret_fields()
    answers = {
        field: terminal.ask(field, flag=f"--{field}", hide=field in secret)
        for field, info in class_.model_fields.items()
        if info.is_required() and field not in ("name", *given)
    }
    return {field: answer for field, answer in answers.items() if answer}


def _parsed(class_: type[StackComponent], fields: dict[str, str]) -> dict[str, Any]:
    """The texts of `fields` as values: what a field does not take as text is read as JSON."""
    return {name: _value(class_, name, text) for name, text in fields.items()}


def _value(class_: type[StackComponent], name: str, text: str) -> Any:
    import json

    from pydantic import TypeAdapter, ValidationError

    field = class_.model_fields.get(name)
    if field is None or has_reference(text):
        return text
    annotated: Any = Annotated[field.annotation, field]
    adapter: TypeAdapter[Any] = TypeAdapter(annotated)
    try:
        adapter.validate_python(text)
    except ValidationError:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _refuse_mandatory(fields: dict[str, str]) -> None:
    for field in ("name", "uuid"):
        if field in fields:
            raise ConfigurationError(f"The {field} of a component cannot be changed so: there is `rename`.")


def _shown(record: ComponentRecord) -> dict[str, Any]:
    """The configuration; of secret fields only references are shown."""
    return {
        field: _MASK if field in record.secret_fields and not has_reference(value) else value
        for field, value in record.configuration.items()
    }


def _document(record: ComponentRecord, active: str | None) -> dict[str, Any]:
    return {
        "active": record.name == active,
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
