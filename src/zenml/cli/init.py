"""`zenml init`."""

from __future__ import annotations

from pathlib import Path

import click

from zenml.cli.terminal import Terminal, pass_terminal
from zenml.exceptions import ZenMLBaseException
from zenml.profiles.active import active_profile, check_stack, initialize_repository, resolve


@click.command()
@click.option(
    "--path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder; the working directory unless given.",
)
@pass_terminal
def init(terminal: Terminal, path: Path | None) -> None:
    """Make a folder a repository: your project's root, with an active profile and stack of its own.

    It gets a folder .zen with these settings; deleting that undoes it.
    """
    root = (path or Path.cwd()).resolve()
    configuration = initialize_repository(root)
    terminal.say(f"ZenML repository initialized at {root}.")
    stack = (
        f"the local active stack to '{configuration.active_stack_name}'"
        if configuration.active_stack_name
        else "no local active stack was set"
    )
    terminal.paragraph(
        f"The local active profile was initialized to '{configuration.active_profile_name}' and {stack}. This local "
        "configuration will only take effect when you're running ZenML from the initialized repository root, or from a "
        "subdirectory. For more information on profile and stack configuration, please visit https://docs.zenml.io."
    )
    active = resolve(root=root, profile_must_exist=False)
    try:
        check_stack(active, active_profile(active))
    except ZenMLBaseException as error:  # the repository is made all the same: `set` mends it
        terminal.warn(str(error))
