"""The values of secrets that this process has come to know, and texts without them.

What a step prints, logs or raises may hold a secret: as it is, or in the forms that programs commonly give a text.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

MASK = "***"

_SHORTEST = 4
_SHORTEST_NUMBER = 6
_LINE = 8  # a line of a secret of several lines, such as a key, counts by itself from so many characters on
_WORDS = frozenset({"true", "false", "none", "null", "default", "localhost", "password", "secret", "token"})
_PLAIN = re.compile("[0-9A-Za-z_.~-]+")  # what no form writes in another way
_ESCAPED = re.compile("%[0-9A-F]{2}")

_lock = threading.Lock()
_values: set[str] = set()
_forms: tuple[str, ...] = ()
_parts: tuple[str, ...] = ()
_has_lines = False
_pattern: re.Pattern[str] | None = None


def remember(values: Iterable[str]) -> None:
    """Let these values be redacted from now on, also in the traceback of an exception that ends this program.

    What would blacken every log is left out: values of less than four characters, numbers of less than six digits, and a
    few words that settings are made of ("true", "default", "localhost" ...).
    """
    global _forms, _parts, _has_lines, _pattern  # noqa: PLW0603 - one registry a process is the point
    with _lock:
        new = {value for value in values if value not in _values}
        if not new:
            return
        _values.update(new)
        found = {form for value in new for form in _forms_of(value)}
        if found - set(_forms):
            # The longest first: a value may be the beginning of another one.
            _forms = tuple(sorted({*_forms, *found}, key=lambda form: (-len(form), form)))
            _parts = tuple(_parts_of(_forms))
            _has_lines = any("\n" in form for form in _forms)
            _pattern = re.compile("|".join(map(re.escape, _forms)))
            if sys.excepthook is sys.__excepthook__:  # else somebody else shows what ends this program
                sys.excepthook = _show_redacted


def known_values() -> frozenset[str]:
    """All values that were remembered."""
    return frozenset(_values)


def redact(text: str) -> str:
    """`text` with `***` in the place of every known value: as it is, URL-quoted, in base64, escaped as in JSON or in Python, or in hex."""
    # Looking for a few literals is many times faster than the pattern, which is for the few texts that hold one.
    if _pattern is not None and any(part in text for part in _parts):
        return _pattern.sub(MASK, text)
    return text


class Redactor:
    """Redacts a text that comes in pieces, also where a value is split between them."""

    def __init__(self) -> None:
        self._held = ""

    def feed(self, piece: str) -> str:
        """What can be shown now; the last characters are held back while a value may begin in them."""
        if not _forms:
            return piece
        text = redact(self._held + piece)
        start = len(text) if text.endswith("\n") and not _has_lines else _unfinished(text)
        self._held = text[start:]
        return text[:start]

    def finish(self) -> str:
        """What was held back. The next piece begins a new text."""
        held, self._held = self._held, ""
        return held


def _unfinished(text: str) -> int:
    """Where the longest end of `text` begins that is the beginning of a value."""
    start = len(text)
    for form in _forms:
        low = max(0, len(text) - len(form) + 1)
        # The first three characters find nearly every place that is worth a comparison.
        at = text.find(form[:3], low, start + 2)
        while 0 <= at < start:
            if form.startswith(text[at:]):
                start = at
                break
            at = text.find(form[:3], at + 1, start + 2)
        else:
            for length in (2, 1):
                if len(text) - length < start and text.endswith(form[:length]):
                    start = len(text) - length
                    break
    return start


def _parts_of(forms: Iterable[str]) -> list[str]:
    """A few literals of which each form holds at least one: most forms of a value have a word in common."""
    parts: list[str] = []
    for form in sorted(forms, key=len):
        if not any(part in form for part in parts):
            longest = max(_PLAIN.findall(form), key=len, default="")
            parts.append(longest if len(longest) >= _SHORTEST else form)
    return parts


def _forms_of(value: str) -> Iterator[str]:
    whole = value.strip()
    for text in dict.fromkeys((whole, *(line.strip() for line in re.split("[\r\n]+", whole)))):
        shortest = _SHORTEST if text is whole else _LINE
        if text.isdecimal():
            shortest = max(shortest, _SHORTEST_NUMBER)
        if len(text) >= shortest and text.lower() not in _WORDS:
            yield from (form for form in _encoded(text) if len(form) >= _SHORTEST)


def _encoded(text: str) -> Iterator[str]:
    # Lists read references, and load nothing that they do not need.
    import html
    import json
    from base64 import b64encode, urlsafe_b64encode
    from urllib.parse import quote, quote_plus

    data = text.encode("utf-8", "surrogateescape")
    yield text
    for quoted in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield quoted
        yield _ESCAPED.sub(lambda match: match[0].lower(), quoted)
    for in_json in (json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]):
        yield in_json
        yield json.dumps(in_json)[1:-1]
        yield from _in_python(in_json)
    yield from _in_python(text)
    yield repr(data)[2:-1]
    yield html.escape(text)
    yield from (data.hex(), data.hex().upper())
    for encode in (b64encode, urlsafe_b64encode):
        yield from _in_base64(data, encode)
    yield from (quote(form, safe="") for form in _in_base64(data, b64encode))


def _in_python(text: str) -> Iterator[str]:
    """As `repr` writes it, alone and in a text that holds both kinds of quotes."""
    yield repr(text)[1:-1]
    yield repr(f"{text}\"'")[1:-4]


def _in_base64(data: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """The characters that stand for `data`, and for nothing beside it, at each of the three places in a group where it may begin."""
    yield encode(data).decode()
    for before in range(3):
        first = -(-8 * before // 6)
        yield encode(b"\0" * before + data).decode()[first : 8 * (before + len(data)) // 6]


def _show_redacted(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    import traceback

    text = "".join(traceback.format_exception(kind, error, frames))
    shown = redact(text)
    if shown == text:
        sys.__excepthook__(kind, error, frames)
    else:
        sys.stderr.write(shown)
