"""`zenml secret`: the secrets of the active stack's secrets manager."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from zenml.cli.groups import FieldsCommand, Group
from zenml.cli.session import Session
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.exceptions import SecretError

if TYPE_CHECKING:
    from zenml.secrets_managers import BaseSecretsManager

_MASK = "***"


@click.group(cls=Group)
def secret() -> None:
    """Manage the secrets of the active stack.

    They are kept by the secrets manager of the active stack. Components and steps refer to them as '{{secret.key}}'.
    """


@secret.command(cls=FieldsCommand)
@click.argument("name")
@click.option(
    "-s",
    "--schema",
    default="arbitrary",
    show_default=True,
    help="Which keys it must have: see its error for the known ones.",
)
@click.option("-i", "--interactive", is_flag=True, help="Ask for keys and values; values are not shown.")
@pass_terminal
def register(terminal: Terminal, name: str, schema: str, interactive: bool, fields: dict[str, str]) -> None:
    """Register a secret: each --KEY=VALUE is a part of it.

    --KEY=@file takes the value from a file, so that it does not stay in the history of the shell.
    """
    from zenml.secret import SecretSchemaClassRegistry

    manager = _manager(terminal)
    class_ = SecretSchemaClassRegistry.get_class(schema)
    if interactive:
        fields |= _asked(
            terminal,
            [key for key in class_.get_schema_keys() if key not in fields],
            free=schema == "arbitrary",
        )
    if not fields:
        raise click.UsageError("A secret needs at least one --KEY=VALUE (or --interactive).")
    _refuse_name(fields)
    manager.register_secret(class_(name=name, **fields))
    _show_masked(terminal, fields)
    terminal.say(f"Registered secret `{name}`.")


@secret.command(cls=FieldsCommand)
@click.argument("name")
@click.option(
    "-i", "--interactive", is_flag=True, help="Ask for a new value of each key; an empty one keeps the old."
)
@pass_terminal
def update(terminal: Terminal, name: str, interactive: bool, fields: dict[str, str]) -> None:
    """Change keys of a secret, or add some; the others stay."""
    from zenml.secret import ArbitrarySecretSchema

    manager = _manager(terminal)
    if interactive:
        fields |= _asked(terminal, list(manager.get_secret(name).content), free=False)
    if not fields:
        raise click.UsageError("Nothing to update: give at least one --KEY=VALUE (or --interactive).")
    _refuse_name(fields)
    manager.update_secret(ArbitrarySecretSchema(name=name, arbitrary_kv_pairs=fields))
    _show_masked(terminal, fields)
    terminal.say(f"Secret with name '{name}' has been updated.")


@secret.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List the names of all secrets."""
    names = _manager(terminal).get_all_secret_keys()
    table = Table(("SECRET_NAME",), [(name,) for name in names], title="Secrets") if names else None
    terminal.show([{"name": name} for name in names], table, "No secrets registered.")


@secret.command()
@click.argument("name")
@output_option
@pass_terminal
def get(terminal: Terminal, name: str) -> None:
    """Show a secret, in clear."""
    content = _manager(terminal).get_secret(name).content
    terminal.show(
        {"name": name, "content": content}, Table(("SECRET_KEY", "SECRET_VALUE"), list(content.items()))
    )


@secret.command()
@click.argument("name")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def delete(terminal: Terminal, name: str, yes: bool) -> None:
    """Delete a secret."""
    manager = _manager(terminal)
    manager.get_secret(name)
    if not terminal.confirm(
        f"This will delete the secret `{name}`. Are you sure you want to proceed?", yes=yes
    ):
        terminal.say("Aborting secret deletion...")
        return
    manager.delete_secret(name)
    terminal.say(f"Deleted secret `{name}`.")


@secret.command()
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def cleanup(terminal: Terminal, yes: bool) -> None:
    """Delete all secrets."""
    manager = _manager(terminal)
    count = len(manager.get_all_secret_keys())
    if not terminal.confirm(
        f"This will delete all {count} secrets of '{manager.name}'. Are you sure you want to proceed?",
        yes=yes,
    ):
        terminal.say("Aborting secret deletion...")
        return
    manager.delete_all_secrets()
    terminal.say("Deleted all secrets.")


def _manager(terminal: Terminal) -> BaseSecretsManager:
    stack = Session.open(terminal, header=False).repository.active_stack
    if stack.secrets_manager is None:
        raise SecretError(
            f"The active stack '{stack.name}' has no secrets manager. "
            "Register one with `zenml secrets-manager register NAME --flavor=local` "
            f"and add it with `zenml stack update {stack.name} -x NAME`."
        )
    return stack.secrets_manager


def _asked(terminal: Terminal, keys: list[str], *, free: bool) -> dict[str, str]:
    """What the user answers for each of `keys`, and for others until an empty one where `free`."""
    answers = {}
    for key in keys:
        if answer := terminal.ask(key, flag=f"--{key}", hide=True):
            answers[key] = answer
    while free and (key := terminal.ask("Key (empty to end)")):
        answers[key] = terminal.ask(f"Value of {key}", hide=True)
    return answers


def _refuse_name(fields: dict[str, str]) -> None:
    if "name" in fields:
        raise click.UsageError("'name' cannot be a key: it is the secret's own name.")


def _show_masked(terminal: Terminal, fields: dict[str, str]) -> None:
    table = Table(("SECRET_KEY", "SECRET_VALUE"), [(key, _MASK) for key in fields])
    terminal.say(table.render(terminal.width))
