"""`zenml integration`: what integrations with other libraries need."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zenml.cli.completion import integration_names
from zenml.cli.groups import Group
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.exceptions import EntityExistsError, IntegrationError

if TYPE_CHECKING:
    from zenml.stack import Integration

F = TypeVar("F", bound=Callable[..., Any])

_names = click.argument("names", metavar="[INTEGRATION]...", nargs=-1, shell_complete=integration_names)
_ignored = click.option(
    "-i",
    "--ignore-integration",
    "ignored",
    multiple=True,
    metavar="INTEGRATION",
    shell_complete=integration_names,
    help="Leave this one out. May be given several times.",
)
_uv = click.option("--uv", is_flag=True, help="Use uv, also where there is pip.")
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


@click.group(cls=Group)
def integration() -> None:
    """Install what integrations with other libraries need.

    An integration brings flavors and materializers for another library. They are part of this installation; the library itself
    is not.
    """


@integration.command("list")
@output_option
@pass_terminal
def list_(terminal: Terminal) -> None:
    """List the integrations, and whether what they need is installed."""
    from zenml.stack.integrations import find_integrations

    found = [(one, one.is_installed) for one in find_integrations()]
    table = Table(
        ("INSTALLED", "INTEGRATION", "REQUIRED_PACKAGES"),
        [(_sign(installed), one.name, ", ".join(one.requirements)) for one, installed in found],
        marked=True,
    )
    terminal.show([_document(one, installed) for one, installed in found], table)
    if any(not installed for _, installed in found):
        terminal.say("Install what one needs with `zenml integration install INTEGRATION`.")


@integration.command()
@click.argument("name", metavar="[INTEGRATION]", required=False, shell_complete=integration_names)
@output_option
@pass_terminal
def requirements(terminal: Terminal, name: str | None) -> None:
    """Show the pip requirements of an integration, or of all, and what of them is not met here."""
    from zenml.stack.integrations import find_integrations
    from zenml.stack.packages import missing_packages

    found = [(one, missing_packages(one.requirements)) for one in find_integrations([name] if name else [])]
    documents = [{**_document(one, not missing), "missing": missing} for one, missing in found]
    rows = [
        (one.name, line, _sign(not missing_packages([line]))) for one, _ in found for line in one.requirements
    ]
    terminal.show(documents, Table(("INTEGRATION", "REQUIREMENT", "INSTALLED"), rows))
    if terminal.output == "table":
        for _, missing in found:
            for problem in missing:
                terminal.say(f"Not met: {problem}")


@integration.command("export-requirements")
@_names
@_ignored
@click.option("--installed-only", is_flag=True, help="Only of the integrations that are installed.")
@click.option(
    "--output-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to this file instead of the terminal.",
)
@click.option("--overwrite", is_flag=True, help="Replace the file if there is one.")
@pass_terminal
def export_requirements(  # noqa: PLR0917 - click passes all but the first by name
    terminal: Terminal,
    /,
    names: tuple[str, ...],
    ignored: tuple[str, ...],
    installed_only: bool,
    output_file: Path | None,
    overwrite: bool,
) -> None:
    """Write the pip requirements of integrations, one a line: a requirements file. Those of all, unless some are named."""
    from zenml.stack.integrations import find_integrations

    found = find_integrations(names, without=ignored)
    lines = _lines(one for one in found if one.is_installed or not installed_only)
    text = "".join(f"{line}\n" for line in lines)
    if output_file is None:
        click.echo(text, nl=False)
        return
    from zenml.storage.files import replace

    if output_file.exists() and not overwrite:
        raise EntityExistsError(f"The file '{output_file}' exists: give another one, or --overwrite.")
    replace(output_file, text)
    terminal.say(f"Exported the requirements of {_listed(found)} to '{output_file}'.")


@integration.command()
@_names
@_ignored
@_uv
@_yes
@pass_terminal
def install(
    terminal: Terminal, /, names: tuple[str, ...], ignored: tuple[str, ...], uv: bool, yes: bool
) -> None:
    """Install what integrations need into the environment that this command runs in. All of them, unless some are named.

    With pip, or with uv where there is no pip; where from is what these are configured for.
    """
    from zenml.stack.integrations import find_integrations
    from zenml.stack.packages import install, missing_packages

    found = find_integrations(names, without=ignored)
    lacking = [one for one in found if not one.is_installed]
    for one in found:
        if one not in lacking:
            terminal.say(f"All required packages for integration '{one.name}' are already installed.")
    if not lacking:
        return
    lines = _lines(lacking)
    if not terminal.confirm(f"This will install {', '.join(lines)}. Continue?", yes=yes):
        terminal.say("Installation canceled.")
        return
    install(lines, uv=uv)
    if problems := missing_packages(lines):
        raise IntegrationError(
            f"Installed, but these requirements are still not met: {', '.join(problems)}. Do two of the integrations exclude each other?"
        )
    terminal.say(f"Installed what is needed for {_listed(lacking)}.")


@integration.command()
@_names
@_ignored
@_uv
@_yes
@pass_terminal
def uninstall(
    terminal: Terminal, /, names: tuple[str, ...], ignored: tuple[str, ...], uv: bool, yes: bool
) -> None:
    """Remove the packages that integrations require. Of all, unless some are named.

    A package that another integration or any other package needs is kept.
    """
    from zenml.stack.integrations import find_integrations
    from zenml.stack.packages import normalized, removable, uninstall

    found = find_integrations(names, without=ignored)
    others = {
        normalized(line): f"the integration '{other.name}'"
        for other in find_integrations()
        if other not in found and other.is_installed
        for line in other.requirements
    }
    wanted = dict.fromkeys(normalized(line) for line in _lines(found))
    packages, needed = removable(name for name in wanted if name not in others)
    needed |= {name: others[name] for name in wanted if name in others}
    for name, by in sorted(needed.items()):
        terminal.say(f"The package '{name}' is kept: {by} needs it.")
    if not packages:
        terminal.say("There is nothing to remove.")
        return
    if not terminal.confirm(f"This will remove {', '.join(packages)}. Continue?", yes=yes):
        terminal.say("Removal canceled.")
        return
    uninstall(packages, uv=uv)
    terminal.say(f"Removed {', '.join(packages)}.")


def _lines(found: Iterable[Integration]) -> list[str]:
    return list(dict.fromkeys(line for one in found for line in one.requirements))


def _listed(found: Iterable[Integration]) -> str:
    return ", ".join(f"'{one.name}'" for one in found)


def _sign(good: bool) -> str:
    return "✅" if good else "❌"


def _document(one: Integration, installed: bool) -> dict[str, Any]:
    return {"name": one.name, "installed": installed, "requirements": list(one.requirements)}
