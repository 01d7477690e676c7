"""Which files are left out, by the rules of .dockerignore and .gitignore.

Those of https://docs.docker.com/build/concepts/context/#dockerignore-files and https://git-scm.com/docs/gitignore.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from zenml.exceptions import ConfigurationError


@dataclass(frozen=True)
class Rules:
    """Rules, of which the last one that matches decides.

    Names are relative to the root, with slashes; that of a folder ends with one.
    """

    groups: tuple[tuple[bool, re.Pattern[str]], ...] = ()
    reopened: tuple[str, ...] = ()
    """The beginnings of names that may be taken in although a folder above is left out."""

    def __add__(self, other: Rules) -> Rules:
        return Rules(self.groups + other.groups, self.reopened + other.reopened)

    def leaves_out(self, name: str) -> bool:
        """Whether a file or folder is left out."""
        for negated, pattern in reversed(self.groups):
            if pattern.fullmatch(name):
                return not negated
        return False

    def may_reopen(self, folder: str) -> bool:
        """Whether something below a folder that is left out may be taken in."""
        return any(start.startswith(folder) or folder.startswith(start) for start in self.reopened)


def docker_rules(text: str) -> Rules:
    """Those of a .dockerignore."""
    rules, reopened = [], []
    for line in text.lstrip("\ufeff").splitlines():
        pattern = line.strip()
        if not pattern or line.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = posixpath.normpath(pattern.removeprefix("!").strip()).lstrip("/")
        if pattern == ".":
            continue
        rules.append((negated, f"{_translated(pattern)}(?:/.*)?"))
        if negated:
            reopened.append(re.split(r"[*?\[]", pattern)[0])
    return Rules(_grouped(rules), tuple(reopened))


def git_rules(lines: Iterable[str], folder: str = "") -> Rules:
    """Those of a .gitignore in `folder`, which is empty or ends with a slash."""
    rules = []
    for line in lines:
        pattern = re.sub(r"(?<!\\) +$", "", line.rstrip("\r\n"))
        if not pattern or pattern.startswith("#"):
            continue
        negated = pattern.startswith("!")
        pattern = pattern.removeprefix("!")
        only_folders, pattern = pattern.endswith("/"), pattern.rstrip("/")
        anywhere = "" if "/" in pattern else "(?:.*/)?"
        translated = _translated(pattern.removeprefix("/"))
        rules.append((negated, f"{re.escape(folder)}{anywhere}{translated}{'/' if only_folders else '/?'}"))
    return Rules(_grouped(rules))


def _grouped(rules: Iterable[tuple[bool, str]]) -> tuple[tuple[bool, re.Pattern[str]], ...]:
    """One pattern for each row of rules of a kind: a hundred rules are a few comparisons."""
    return tuple(
        (negated, re.compile("|".join(f"(?:{pattern})" for _, pattern in row), re.DOTALL))
        for negated, row in groupby(rules, key=lambda rule: rule[0])
    )


def _translated(pattern: str) -> str:
    """A pattern as a regular expression: `*` and `?` stay within a name, `**` stands for any folders."""
    expression = "".join(_pieces(pattern))
    try:
        re.compile(expression)
    except re.error as error:
        raise ConfigurationError(f"The rule {pattern!r} of an ignore file is none: {error}.") from None
    return expression


_TOKEN = re.compile(
    r"(?P<folders>(?:(?<=/)|^)\*\*/)|(?P<rest>/\*\*$)|(?P<name>(?:(?<=/)|^)\*(?=/|$))|(?P<star>\*+)|(?P<one>\?)"
    r"|\[(?P<not>[!^]?)(?P<class>\]?(?:\\.|[^\]\\])*)\]|\\(?P<escaped>.)|(?P<other>.)",
    re.DOTALL,
)


def _pieces(pattern: str) -> Iterator[str]:
    for token in _TOKEN.finditer(pattern):
        if token["folders"]:
            yield "(?:.*/)?"
        elif token["rest"]:
            yield "/.+"
        elif token["name"]:
            yield "[^/]+"
        elif token["star"]:
            yield ".*" if len(token["star"]) > 1 else "[^/]*"
        elif token["one"]:
            yield "[^/]"
        elif token["class"]:
            # A set within a set, which Python may give a meaning one day, is none here.
            yield f"(?!/)[{'^' if token['not'] else ''}{token['class'].replace('[', chr(92) + '[')}]"
        else:
            yield re.escape(token["escaped"] or token["other"] or token[0])
