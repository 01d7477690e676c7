"""Groups whose commands are imported when they are used, and commands that take free `--field=value` options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, update_wrapper
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from zenml.cli.terminal import Terminal
from zenml.exceptions import ZenMLBaseException, nearest

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from zenml.enums import StackComponentType

R = TypeVar("R")

INTERRUPTED = 130
"""Exit code of a command that was stopped with Ctrl-C: 128 + SIGINT."""


@dataclass(frozen=True)
class Entry:
    """A command that is not imported yet: the heading it stands under, its help in a line, and what imports it."""

    heading: str
    help: str
    load: Callable[[], click.Command]


def entry(heading: str, path: str, help: str) -> Entry:
    """The command `module:name`."""
    return Entry(heading, help, partial(_imported, path))


def _imported(path: str) -> click.Command:
    module, _, name = path.partition(":")
    command: click.Command = getattr(import_module(module), name)
    return command


class Group(click.Group):
    """A group that shows its help when it is called without a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, or show the help."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit()
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; an unknown one is answered with the nearest."""
        names = self.list_commands(ctx)
        if not ctx.resilient_parsing and not args[0].startswith("-") and dashed(args[0]) not in names:
            ctx.fail(f"No such command '{args[0]}'.{nearest(args[0], names)}")
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """A group that lists its commands without importing them."""

    def __init__(self, *args: Any, entries: Mapping[str, Entry], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._entries = entries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the order of their headings."""
        return list(self._entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        entry = self._entries.get(cmd_name)
        return None if entry is None else entry.load()

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands under their headings."""
        headings: dict[str, list[tuple[str, str]]] = {}
        for name, entry in self._entries.items():
            headings.setdefault(entry.heading, []).append((name, entry.help))
        widest = max(map(len, self._entries), default=0)
        for heading, rows in headings.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(widest), help) for name, help in rows])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, with their help, and the options."""
        from click.shell_completion import CompletionItem

        commands = [
            CompletionItem(name, help=entry.help)
            for name, entry in self._entries.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; whatever the framework or the system refuses is a message, not a traceback."""
        try:
            return super().invoke(ctx)
        except ZenMLBaseException as error:
            raise click.ClickException(str(error)) from error
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.filename is None or error.strerror is None:
                raise click.ClickException(str(error)) from error
            raise click.ClickException(f"{str(error.filename)!r}: {error.strerror}.") from error
        except (KeyboardInterrupt, click.Abort):
            click.echo("\nAborted!", err=True)
            ctx.exit(INTERRUPTED)


class ComponentGroup(Group):
    """The commands about one type of component; they learn it by `pass_type`."""

    def __init__(self, type_: StackComponentType, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.type = type_


def pass_type(function: Callable[..., R]) -> Callable[..., R]:
    """Hand a command the terminal and the type of component that it is about, as its first two arguments."""

    @click.pass_context
    def run(ctx: click.Context, /, *arguments: Any, **parameters: Any) -> R:
        return function(ctx.ensure_object(Terminal), type_of(ctx), *arguments, **parameters)

    return update_wrapper(run, function)


def type_of(ctx: click.Context) -> StackComponentType:
    """The type of component that a command below a ComponentGroup is about."""
    while not isinstance(ctx.command, ComponentGroup):
        if ctx.parent is None:
            raise LookupError("no group of components encloses this command")
        ctx = ctx.parent
    return ctx.command.type


class FieldsCommand(click.Command):
    """A command that takes any `--field=value` or `--field value` beside its own options, as the mapping `fields`."""

    valued: ClassVar[bool] = True

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take the free options out, then parse the rest."""
        own = {
            dashed(name): parameter
            for parameter in self.get_params(ctx)
            if isinstance(parameter, click.Option)
            for name in parameter.opts
        }
        rest: list[str] = []
        fields: dict[str, str] = {}
        tokens = iter(args)
        for token in tokens:
            option, equals, value = token.partition("=")
            if token == "--":  # noqa: S105 - a token of the command line
                rest += (token, *tokens)
            elif not token.startswith("--"):
                rest.append(token)
            elif (known := own.get(dashed(option))) is not None:
                rest.append(token)
                if not equals and not known.is_flag:
                    rest += islice(tokens, 1)
            elif self.valued:
                self._take(ctx, fields, option, value if equals else next(tokens, None))
            elif equals:
                raise click.UsageError(f"Option '{option}' takes no value here.", ctx)
            else:
                self._take(ctx, fields, option, "")
        remaining = super().parse_args(ctx, rest)
        ctx.params["fields"] = fields
        return remaining

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show that fields are taken."""
        return [*super().collect_usage_pieces(ctx), "[--FIELD=VALUE]..." if self.valued else "[--FIELD]..."]

    def _take(self, ctx: click.Context, fields: dict[str, str], option: str, value: str | None) -> None:
        name = option[2:].replace("-", "_")
        if not name.isidentifier():
            raise click.UsageError(f"{option!r} is no option: write --field=value or --field value.", ctx)
        if value is None or (value.startswith("--") and len(value) > 2):  # noqa: PLR2004 - more than the dashes
            raise click.UsageError(f"Option '{option}' requires a value: {option}=VALUE.", ctx)
        if name in fields:
            raise click.UsageError(f"Option '{option}' is given twice.", ctx)
        fields[name] = _content(ctx, option, value)


class FieldNamesCommand(FieldsCommand):
    """A command that takes any `--field`, without values."""

    valued = False


def dashed(name: str) -> str:
    """The name of an option or a command, in the one of the two accepted spellings that is shown."""
    return name.replace("_", "-")


def _content(ctx: click.Context, option: str, value: str) -> str:
    """The value itself, or with `@path` what the file holds; `@@x` stands for `@x`."""
    if value.startswith("@@") or not value.startswith("@"):
        return value[1:] if value.startswith("@@") else value
    try:
        return Path(value[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"Option '{option}': {value[1:]!r} cannot be read: {error}.", ctx) from None
