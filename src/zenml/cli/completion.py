"""`zenml completion`, and what completes the names of stacks, profiles and components."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import PurePath
from typing import TYPE_CHECKING, Protocol

import click

from zenml.cli.groups import type_of
from zenml.enums import StackComponentType
from zenml.exceptions import ZenMLBaseException

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from zenml.profiles.registry import Registry

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, shell: str | None) -> None:
    """Print the script with which SHELL completes commands, options and the names of what is registered.

    SHELL is the one that you use ($SHELL) unless you name one. Switch it on with

    \b
      bash:  eval "$(zenml completion bash)"      in ~/.bashrc
      zsh:   eval "$(zenml completion zsh)"       in ~/.zshrc
      fish:  zenml completion fish | source       in ~/.config/fish/config.fish
    """  # noqa: D301 - click's mark for lines that are not wrapped
    from click.shell_completion import get_completion_class

    shell = shell or PurePath(os.environ.get("SHELL", "")).name
    class_ = get_completion_class(shell) if shell in _SHELLS else None
    if class_ is None:
        raise click.UsageError(f"The shell {shell!r} is not known: name one of {', '.join(_SHELLS)}.")
    click.echo(class_(ctx.find_root().command, {}, "zenml", "_ZENML_COMPLETE").source())


def stack_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The stacks of the active profile that begin so."""
    return _matching(lambda: _registry().stacks(), incomplete)


def schedule_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The schedules of the active profile that begin so."""
    return _matching(lambda: _registry().schedules(), incomplete)


def profile_names(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The profiles that begin so."""
    from zenml.profiles.profiles import list_profiles

    return _matching(list_profiles, incomplete)


def component_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The components that begin so, of the type that the command is about."""
    return _matching(lambda: _registry().components(type_of(ctx)), incomplete)


def integration_names(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The integrations that begin so."""
    from zenml.stack.integrations import integrations

    return _matching(integrations, incomplete)


def option_components(_: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The components that begin so, of the type that the option is named for."""
    return _matching(lambda: _registry().components(StackComponentType(str(parameter.name))), incomplete)


class _Named(Protocol):
    @property
    def name(self) -> str: ...


def _matching(find: Callable[[], Iterable[_Named]], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    try:
        names = [found.name for found in find()]
    except ZenMLBaseException:
        return []  # a message would land in the middle of what the user types
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def _registry() -> Registry:
    from zenml.profiles.active import active_profile, resolve
    from zenml.profiles.profiles import open_registry

    return open_registry(active_profile(resolve(stack_must_exist=False)))
