"""`zenml status`."""

from __future__ import annotations

import click

from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.config.global_config import GlobalConfiguration
from zenml.exceptions import ZenMLBaseException
from zenml.profiles.active import active_profile, check_stack, resolve


@click.command()
@output_option
@pass_terminal
def status(terminal: Terminal) -> None:
    """Show which profile, stack and repository are active, and which setting decided each."""
    active = resolve(profile_must_exist=False)
    mistake = ""
    try:
        check_stack(active, active_profile(active))
    except ZenMLBaseException as error:  # a store that cannot be reached changes nothing of what is set
        mistake = str(error)
    rows = [
        ("profile", active.profile, f"{active.profile_setting}: {active.profile_source}"),
        ("stack", active.stack, f"{active.stack_setting}: {active.stack_source}"),
        ("repository", active.root, active.root_source),
        ("configuration", GlobalConfiguration().config_directory, ""),
    ]
    document = {
        what: {"value": None if value is None else str(value), "decided_by": by} for what, value, by in rows
    }
    terminal.show(
        document,
        Table(("SETTING", "VALUE", "DECIDED BY"), [(what.upper(), value, by) for what, value, by in rows]),
    )
    if mistake:
        terminal.warn(mistake)
