"""`zenml profile`: isolated sets of stacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from zenml.cli.completion import profile_names
from zenml.cli.groups import Group
from zenml.cli.session import Session
from zenml.cli.tables import Table, marker
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.config.global_config import GlobalConfiguration
from zenml.enums import StoreType
from zenml.profiles.active import activate_profile
from zenml.profiles.profiles import create_profile, delete_profile, get_profile, list_profiles, shown_url

if TYPE_CHECKING:
    from zenml.config.profile_config import ProfileConfiguration
    from zenml.profiles.active import Active

_EXPLANATION = """\
A profile is an isolated world: what is registered in one is seen in no other. It holds stacks, their components and
your own flavors. The profile 'default' is made when you use zenml for the first time.

A profile keeps its records in a store: a folder of readable YAML files on this machine (`--store-type local`), or a
database that several people share (`--store-type sql --url ...`, an SQLAlchemy URL for SQLite, PostgreSQL, MySQL or
MariaDB).

    zenml profile create NAME      make one, with a stack 'default' in it
    zenml profile set NAME         make it the active one
    zenml profile list             see all of them
    zenml stack copy ... --to NAME take a stack along

Within a repository (see `zenml init`), `zenml profile set` counts for that repository alone; `--global` sets the one
that counts everywhere else. ZENML_ACTIVATED_PROFILE wins over both. `zenml status` shows which setting decided.
"""


@click.group(cls=Group)
def profile() -> None:
    """Keep several isolated sets of stacks.

    The active profile decides which stacks and components there are; see `zenml profile explain`.
    """


@profile.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List all profiles."""
    active = Session.open(terminal, profile_must_exist=False).active
    documents = [_document(profile, active) for profile in list_profiles()]
    rows = [
        (marker(d["active"]), d["name"], d["store_type"], d["store_url"], d["active_stack"])
        for d in documents
    ]
    terminal.show(
        documents, Table(("ACTIVE", "PROFILE NAME", "STORE TYPE", "URL", "ACTIVE STACK"), rows, marked=True)
    )


@profile.command()
@click.argument("name")
@click.option(
    "-t",
    "--store-type",
    type=click.Choice(StoreType.values()),
    help="YAML files on this machine (local), or a database (sql). Default: ZENML_DEFAULT_STORE_TYPE, else local.",
)
@click.option(
    "-u",
    "--url",
    help="Where the store is: a folder, or an SQLAlchemy URL. Default: a folder, or an SQLite file, of its own.",
)
@pass_terminal
def create(terminal: Terminal, name: str, store_type: str | None, url: str | None) -> None:
    """Create a profile with a default stack. It does not become the active one.

    \b
      zenml profile create team --store-type sql --url 'postgresql://me:{{env.PASSWORD}}@host/zenml'
    """  # noqa: D301 - click's mark for lines that are not wrapped
    Session.open(terminal, profile_must_exist=False)
    create_profile(name, store_type=store_type, url=url)
    terminal.say(f"Profile '{name}' successfully created.")


@profile.command("set")
@click.argument("name", shell_complete=profile_names)
@click.option(
    "-g", "--global", "globally", is_flag=True, help="Set the global one, also within a repository."
)
@pass_terminal
def set_(terminal: Terminal, name: str, globally: bool) -> None:
    """Make a profile the active one. Of the repository that you are in, else globally.

    In a repository, the profile's own active stack becomes the repository's.
    """
    session = Session.open(terminal, profile_must_exist=False)
    root = None if globally else session.root
    kind = "global " if globally and session.root is not None else ""
    stack = get_profile(name).active_stack
    if root is None:
        present = GlobalConfiguration().activated_profile
    else:
        present = session.active.profile if session.active.profile_setting == "local" else None
    if present == name:
        terminal.say(f"Profile '{name}' is already the active {kind}one.")
        return
    winner = activate_profile(name, root=root)
    terminal.say(f"Active {kind}profile changed to: '{name}'")
    if root is not None and stack != session.active.stack:
        terminal.warn(f"The active stack of this repository is now '{stack}', that of the profile.")
    session.warn_overridden(winner)


@profile.command()
@pass_terminal
def get(terminal: Terminal) -> None:
    """Print the name of the active profile."""
    terminal.say(f"Active profile is: {Session.open(terminal, header=False).profile.name}")


@profile.command()
@click.argument("name", required=False, shell_complete=profile_names)
@output_option
@pass_terminal
def describe(terminal: Terminal, name: str | None) -> None:
    """Show one profile. The active one, unless NAME is given."""
    session = Session.open(terminal, profile_must_exist=name is None)
    document = _document(session.profile if name is None else get_profile(name), session.active)
    rows = [(key.upper(), document[key]) for key in ("name", "store_url", "store_type", "active_stack")]
    title = f"'{document['name']}' Profile Configuration{' (ACTIVE)' if document['active'] else ''}"
    terminal.show(document, Table(("PROPERTY", "VALUE"), rows, title=title))


@profile.command()
@click.argument("name", shell_complete=profile_names)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@pass_terminal
def delete(terminal: Terminal, name: str, yes: bool) -> None:
    """Delete a profile that is not active, with all that is registered in it.

    A store that was given with --url stays as it is.
    """
    Session.open(terminal, profile_must_exist=False)
    get_profile(name)
    if not terminal.confirm(
        f"This will delete profile '{name}' and all that is registered in it. Are you sure you want to proceed?",
        yes=yes,
    ):
        terminal.say("Profile deletion canceled.")
        return
    delete_profile(name)
    terminal.say(f"Deleted profile '{name}'.")


@profile.command()
@pass_terminal
def explain(terminal: Terminal) -> None:
    """Explain what profiles are for."""
    terminal.page(_EXPLANATION)


def _document(profile: ProfileConfiguration, active: Active) -> dict[str, Any]:
    is_active = profile.name == active.profile
    return {
        "active": is_active,
        "name": profile.name,
        "store_type": profile.store_type.value,
        "store_url": shown_url(profile),
        "active_stack": active.stack if is_active else profile.active_stack,
    }
