"""`zenml stack`: components put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zenml.cli.completion import option_components, profile_names, stack_names
from zenml.cli.groups import Group
from zenml.cli.session import Session
from zenml.cli.tables import Table, marker
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.enums import CheckOutcome, StackComponentType
from zenml.exceptions import DoesNotExistException

if TYPE_CHECKING:
    from zenml.exceptions import ZenMLBaseException
    from zenml.model.deployment import StackSpec
    from zenml.model.records import StackRecord
    from zenml.stack import Stack

F = TypeVar("F", bound=Callable[..., Any])

_SIGNS = {"ok": "✅", "warning": "❗", "failed": "❌"}
_SHORT = {
    StackComponentType.METADATA_STORE: "-m",
    StackComponentType.ARTIFACT_STORE: "-a",
    StackComponentType.ORCHESTRATOR: "-o",
    StackComponentType.CONTAINER_REGISTRY: "-c",
    StackComponentType.SECRETS_MANAGER: "-x",
    StackComponentType.STEP_OPERATOR: "-s",
    StackComponentType.FEATURE_STORE: "-f",
    StackComponentType.MODEL_DEPLOYER: "-d",
    StackComponentType.EXPERIMENT_TRACKER: "-e",
    StackComponentType.ALERTER: "-al",
    StackComponentType.DATA_VALIDATOR: "-dv",
}


def _components(*, required: bool) -> Callable[[F], F]:
    """An option for each type: the name of a registered component."""

    def decorate(command: F) -> F:
        for type_, short in reversed(_SHORT.items()):
            command = click.option(
                short,
                f"--{type_.value}",
                required=required and type_.required,
                metavar="NAME",
                shell_complete=option_components,
                help=f"A registered {type_.display}.",
            )(command)
        return command

    return decorate


def _flags(command: F) -> F:
    """A flag for each type that a stack can do without."""
    for type_, short in reversed(_SHORT.items()):
        if not type_.required:
            command = click.option(
                short, f"--{type_.value}", is_flag=True, help=f"Remove the {type_.display}."
            )(command)
    return command


_name = click.argument("name", metavar="STACK_NAME", shell_complete=stack_names)
_optional_name = click.argument("name", metavar="[STACK_NAME]", required=False, shell_complete=stack_names)
_global = click.option(
    "-g", "--global", "globally", is_flag=True, help="Set the profile's own one, also within a repository."
)

_rename = click.option(
    "--rename",
    "on_conflict",
    flag_value="rename",
    help="Give components new names where others of the same name differ.",
)
_overwrite = click.option(
    "--overwrite",
    "on_conflict",
    flag_value="overwrite",
    help="Change the components, and the stack, of the same name.",
)


@click.group(cls=Group)
def stack() -> None:
    """Put components together to stacks.

    A stack is what pipelines run on: an orchestrator, an artifact store and a metadata store, and whatever else they need.
    Components are registered first, with `zenml TYPE register`.
    """


@stack.command()
@_name
@_components(required=True)
@click.option("--set", "activate", is_flag=True, help="Make it the active stack at once.")
@pass_terminal
def register(terminal: Terminal, /, name: str, activate: bool, **names: str | None) -> None:
    """Register a stack of registered components."""
    session = Session.open(terminal)
    session.repository.register_stack(_assembled(session, name, _given(names)))
    terminal.say(f"Stack '{name}' successfully registered!")
    if activate:
        session.activate_stack(name)


@stack.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List the stacks of the active profile."""
    session = Session.open(terminal)
    active = session.active.stack
    stacks = session.registry.stacks()
    types = sorted({type_ for stack in stacks for type_ in stack.components})
    rows = [
        (marker(stack.name == active), stack.name, *(stack.components.get(type_) for type_ in types))
        for stack in stacks
    ]
    columns = ("ACTIVE", "STACK NAME", *(type_.value.upper() for type_ in types))
    table = Table(columns, rows, marked=True) if rows else None
    terminal.show([_document(stack, active) for stack in stacks], table, "No stacks registered.")


@stack.command()
@_optional_name
@output_option
@pass_terminal
def describe(terminal: Terminal, name: str | None) -> None:
    """Show the components of a stack. The active one, unless STACK_NAME is given."""
    session = Session.open(terminal)
    active = session.active.stack
    stack = session.registry.stack(name or session.active_stack)
    table = Table(
        ("COMPONENT_TYPE", "COMPONENT_NAME"),
        [(type_.value.upper(), component) for type_, component in sorted(stack.components.items())],
        title="Stack Configuration",
        caption=f"'{stack.name}' stack{' (ACTIVE)' if stack.name == active else ''}",
    )
    terminal.show(_document(stack, active), table)


@stack.command()
@pass_terminal
def get(terminal: Terminal) -> None:
    """Print the name of the active stack."""
    terminal.say(f"The active stack is: '{Session.open(terminal).active_stack}'")


@stack.command("set")
@_name
@_global
@pass_terminal
def set_(terminal: Terminal, name: str, globally: bool) -> None:
    """Make a stack the active one. Of the repository that you are in, else of the profile."""
    Session.open(terminal).activate_stack(name, globally=globally)


@stack.command()
@_optional_name
@_components(required=False)
@pass_terminal
def update(terminal: Terminal, /, name: str | None, **names: str | None) -> None:
    """Add or replace components of a stack. The active one, unless STACK_NAME is given."""
    given = _given(names)
    if not given:
        raise click.UsageError("Nothing to update: name at least one component.")
    session = Session.open(terminal)
    old = session.registry.stack(name or session.active_stack)
    session.repository.update_stack(old.name, _assembled(session, old.name, {**old.components, **given}))
    terminal.say(f"Stack `{old.name}` successfully updated!")


@stack.command("remove-component")
@_optional_name
@_flags
@pass_terminal
def remove_component(terminal: Terminal, /, name: str | None, **flags: bool) -> None:
    """Remove optional components from a stack. The active one, unless STACK_NAME is given."""
    removed = {StackComponentType(type_) for type_, flag in flags.items() if flag}
    if not removed:
        raise click.UsageError("Nothing to remove: name at least one type, such as --alerter.")
    session = Session.open(terminal)
    old = session.registry.stack(name or session.active_stack)
    if absent := sorted(type_.display for type_ in removed - set(old.components)):
        raise DoesNotExistException(f"The stack '{old.name}' has no {' and no '.join(absent)}.")
    rest = {type_: component for type_, component in old.components.items() if type_ not in removed}
    session.repository.update_stack(old.name, _assembled(session, old.name, rest))
    terminal.say(f"Stack `{old.name}` successfully updated!")


@stack.command()
@click.argument("current", metavar="CURRENT_STACK_NAME", shell_complete=stack_names)
@click.argument("new", metavar="NEW_STACK_NAME")
@pass_terminal
def rename(terminal: Terminal, current: str, new: str) -> None:
    """Rename a stack; where it is the active one, it stays so."""
    registry = Session.open(terminal).registry
    registry.update_stack(current, replace(registry.stack(current), name=new))
    terminal.say(f"Stack `{current}` successfully renamed as `{new}`!")


@stack.command()
@click.argument("source", metavar="SOURCE_STACK", shell_complete=stack_names)
@click.argument("target", metavar="TARGET_STACK")
@click.option(
    "--from",
    "from_",
    metavar="PROFILE",
    shell_complete=profile_names,
    help="The profile to copy from; the active one unless given.",
)
@click.option(
    "--to",
    metavar="PROFILE",
    shell_complete=profile_names,
    help="The profile to copy to; the active one unless given.",
)
@_rename
@_overwrite
@pass_terminal
def copy(  # noqa: PLR0917 - click passes all but the first by name
    terminal: Terminal, /, source: str, target: str, from_: str | None, to: str | None, on_conflict: Any
) -> None:
    """Copy a stack with its components, within a profile or between two.

    A component that the target profile has already, with the same configuration, is used as it is. One of the same name with
    another configuration is an error, unless --rename or --overwrite says what to do.
    """
    session = Session.open(terminal)
    session.registry_of(from_).copy_stack(
        source, target, session.registry_of(to), on_conflict=on_conflict or "error"
    )
    terminal.say(f"Stack '{source}' successfully copied to '{target}'{f' in profile {to!r}' if to else ''}!")


@stack.command()
@_name
@click.argument("filename", type=click.Path(dir_okay=False, path_type=Path), required=False)
@pass_terminal
def export(terminal: Terminal, name: str, filename: Path | None) -> None:
    """Write a stack with its components to a YAML file.

    To STACK_NAME.yaml, unless FILENAME is given. It holds references to secrets, never the secrets.
    """
    from zenml.storage.files import replace as replace_file
    from zenml.storage.yaml import dump

    document = Session.open(terminal).registry.export_stack(name)
    path = filename or Path(f"{name}.yaml")
    replace_file(path, dump(document))
    terminal.say(f"Exported stack '{name}' to file '{path}'.")


@stack.command("import")
@click.argument("name", metavar="STACK_NAME")
@click.argument("filename", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False)
@_rename
@_overwrite
@pass_terminal
def import_(terminal: Terminal, name: str, filename: Path | None, on_conflict: Any) -> None:
    """Register the stack that a file holds, with its components.

    The file is STACK_NAME.yaml unless FILENAME is given. Instead of a name and a file, the file alone will do: the stack then
    has the name that is written in it. What the components need need not be installed.
    """
    from zenml.storage.files import read_text
    from zenml.storage.yaml import load

    stack_name: str | None = name
    if filename is None:
        filename = Path(name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
        stack_name = None if filename.name == name else name
    text = read_text(filename)
    if text is None:
        raise DoesNotExistException(
            f"There is no file '{filename}': give the FILENAME that `zenml stack export` wrote."
        )
    session = Session.open(terminal)
    imported = session.registry.import_stack(load(text, filename), stack_name, on_conflict or "error")
    terminal.say(f"Imported stack '{imported.stack.name}' from file '{filename}'.")
    if imported.requirements:
        quoted = " ".join(f"'{requirement}'" for requirement in imported.requirements)
        terminal.warn(f"Before you can use it, install what its components need: pip install {quoted}")
    if imported.unknown_flavors:
        terminal.warn(f"Before you can use it, register these flavors: {', '.join(imported.unknown_flavors)}")
    if imported.unknown_types:
        terminal.warn(
            f"This version knows no components of these types; they are kept: {', '.join(imported.unknown_types)}"
        )


@stack.command()
@_name
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def delete(terminal: Terminal, name: str, yes: bool) -> None:
    """Delete a stack that is not active; its components stay."""
    registry = Session.open(terminal).registry
    registry.stack(name)
    if not terminal.confirm(f"This will delete stack '{name}'. Are you sure you want to proceed?", yes=yes):
        terminal.say("Stack deletion canceled.")
        return
    registry.deregister_stack(name)
    terminal.say(f"Deleted stack '{name}'.")


@stack.command()
@_optional_name
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for the components, which are tested beside each other.",
)
@output_option
@click.pass_context
def check(ctx: click.Context, name: str | None, timeout: float) -> None:
    """Test a stack as it is now. The active one, unless STACK_NAME is given.

    Each component is tested: whether it can be reached and lets us in, and does what a run needs of it. Nothing is left behind,
    and no message is sent to anybody. Ends with exit code 1 if a test failed.
    """
    from zenml.stack.checks import Check, Finding

    terminal = ctx.ensure_object(Terminal)
    session = Session.open(terminal)
    spec = session.registry.stack_spec(name or session.active_stack)
    stack, broken = _in_part(session, spec)
    findings = [
        Finding(type_, record.name, record.flavor, Check("loads", CheckOutcome.FAILED, str(broken[type_])))
        for type_, record in spec.components.items()
        if type_ in broken
    ]
    findings += stack.check(timeout)
    document = [
        {
            "type": finding.type.value if finding.type else "stack",
            "name": finding.name,
            "flavor": finding.flavor,
            "check": finding.check.what,
            "outcome": finding.check.outcome.value,
            "message": finding.check.message,
            "remedy": finding.check.remedy,
        }
        for finding in findings
    ]
    rows = [
        (
            row["type"].upper(),
            row["name"],
            row["flavor"],
            row["check"],
            f"{_SIGNS[row['outcome']]} {row['outcome']}",
        )
        for row in document
    ]
    terminal.show(document, Table(("COMPONENT_TYPE", "NAME", "FLAVOR", "CHECK", "RESULT"), rows))
    if terminal.output == "table":
        for row in document:
            if row["outcome"] != CheckOutcome.OK:
                what = f"{row['type'].replace('_', ' ').capitalize()} '{row['name']}', {row['check']}:"
                terminal.say(" ".join(filter(None, (what, row["message"], row["remedy"]))))
    if any(finding.check.outcome is CheckOutcome.FAILED for finding in findings):
        ctx.exit(1)


@stack.command()
@pass_terminal
def up(terminal: Terminal) -> None:
    """Make and start the resources of the active stack."""
    session = Session.open(terminal)
    stack = session.repository.active_stack
    terminal.say(f"Provisioning resources for active stack '{stack.name}'.")
    stack.provision()
    stack.resume()


@stack.command()
@click.option("-f", "--force", is_flag=True, help="Remove the resources instead of keeping them stopped.")
@pass_terminal
def down(terminal: Terminal, force: bool) -> None:
    """Stop the resources of the active stack."""
    session = Session.open(terminal)
    stack, broken = _in_part(session, session.registry.stack_spec(session.active_stack))
    terminal.say(f"{'Deprovisioning' if force else 'Suspending'} resources for active stack '{stack.name}'.")
    for type_, error in broken.items():
        terminal.warn(f"The {type_.display} is left as it is, for it cannot be loaded: {error}")
    if force:
        stack.deprovision()
    else:
        stack.suspend()


def _given(names: Mapping[str, str | None]) -> dict[StackComponentType, str]:
    return {StackComponentType(type_): name for type_, name in names.items() if name is not None}


def _assembled(session: Session, name: str, names: Mapping[StackComponentType, str]) -> Stack:
    """The stack of these registered components."""
    from zenml.model.deployment import StackSpec
    from zenml.stack import Stack

    registry = session.registry
    records = {type_: registry.component(type_, component) for type_, component in names.items()}
    return Stack.from_spec(StackSpec(name, records, tuple(registry.flavors())), session.root)


def _in_part(session: Session, spec: StackSpec) -> tuple[Stack, dict[StackComponentType, ZenMLBaseException]]:
    from zenml.stack import Stack

    return Stack.from_spec_in_part(spec, session.root)


def _document(stack: StackRecord, active: str | None) -> dict[str, Any]:
    components = {type_.value: name for type_, name in sorted(stack.components.items())}
    return {"active": stack.name == active, "name": stack.name, "components": components}
