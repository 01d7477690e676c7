"""The terminal: what commands say goes through here."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from zenml.cli.tables import Table

_LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL")
_WIDTH_OF_TEXT = 80

F = TypeVar("F", bound=Callable[..., Any])


class Terminal:
    """Speaks for one command.

    Results and the framework's messages go to stdout, warnings to stderr. When a document is asked for (`output` is "json" or
    "yaml"), stdout carries that and nothing else.
    """

    output = "table"

    def say(self, message: str) -> None:
        """A message to the user. Where nobody listens any more (`zenml ... | head`), the command does its work all the same."""
        try:
            click.echo(message, err=self.output != "table")
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def warn(self, message: str) -> None:
        """Something that the user should know, though the command goes on."""
        click.secho(message, fg="yellow", err=True)

    def paragraph(self, text: str) -> None:
        """A message, wrapped to the width of the terminal."""
        self.say(click.wrap_text(text, self.width or _WIDTH_OF_TEXT))

    def page(self, text: str) -> None:
        """A long text, through the pager where there is a terminal."""
        if self.is_interactive:
            click.echo_via_pager(text)
        else:
            click.echo(text)

    def show(self, document: Any, table: Table | None, nothing: str = "") -> None:
        """What the command was asked for: the document as JSON or YAML, else the table, or, where there is none, `nothing`."""
        if self.output == "json":
            import json

            click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        elif self.output == "yaml":
            from zenml.storage.yaml import dump

            click.echo(dump(document), nl=False)
        else:
            click.echo(table.render(self.width) if table else nothing)

    def confirm(self, question: str, *, yes: bool) -> bool:
        """Whether the user agrees: `yes` was given, or is answered now.

        Raises:
            click.UsageError: there is no terminal to answer on.
        """
        if yes:
            return True
        if not has_keyboard():
            raise click.UsageError(f"{question} There is no terminal to answer on: give --yes.")
        return click.confirm(question)

    def ask(self, question: str, *, flag: str = "--KEY", hide: bool = False) -> str:
        """What the user answers, possibly nothing; not shown with `hide`. `flag` is the option that makes it needless.

        Raises:
            click.UsageError: there is no terminal to answer on.
        """
        if not has_keyboard():
            raise click.UsageError(f"{question}: there is no terminal to answer on: give {flag}=VALUE.")
        answer: str = click.prompt(question, default="", show_default=False, hide_input=hide)
        return answer

    @property
    def is_interactive(self) -> bool:
        """Whether a person reads stdout."""
        return sys.stdout.isatty()

    @property
    def width(self) -> int | None:
        """Columns: COLUMNS, else those of the terminal; None where there is no limit."""
        given = os.environ.get("COLUMNS", "")
        if given.isdecimal() and int(given) > 0:
            return int(given)
        try:
            return os.get_terminal_size(sys.stdout.fileno()).columns or None
        except (OSError, ValueError):
            return None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Show what the framework's loggers say, from the level of ZENML_LOGGING_VERBOSITY (INFO) on."""
        logger = logging.getLogger("zenml")
        level = os.environ.get("ZENML_LOGGING_VERBOSITY", "INFO").upper()
        if level not in _LEVELS:
            self.warn(
                f"ZENML_LOGGING_VERBOSITY is {level!r}; expected one of {', '.join(_LEVELS)}. Using INFO."
            )
            level = "INFO"
        handler, before = _Handler(self), logger.level
        logger.addHandler(handler)
        logger.setLevel(level)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(before)


pass_terminal = click.make_pass_decorator(Terminal, ensure=True)


def has_keyboard() -> bool:
    """Whether a person can answer."""
    return sys.stdin.isatty()


limit_option = click.option(
    "-n",
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    help="At most so many, the latest.",
)
"""How many entries a list shows."""


def output_option(command: F) -> F:
    """Add `-o/--output`: the form in which the command's terminal shows its result."""
    return click.option(
        "-o",
        "--output",
        type=click.Choice(["table", "json", "yaml"]),
        default="table",
        show_default=True,
        callback=_choose_output,
        is_eager=True,
        expose_value=False,
        help="A table for people, or a document for programs.",
    )(command)


def _choose_output(ctx: click.Context, _: click.Parameter, value: str) -> None:
    ctx.ensure_object(Terminal).output = value


class _Handler(logging.Handler):
    def __init__(self, terminal: Terminal) -> None:
        super().__init__()
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        speak = self._terminal.warn if record.levelno >= logging.WARNING else self._terminal.say
        speak(self.format(record))
