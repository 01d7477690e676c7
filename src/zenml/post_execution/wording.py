"""Numbers and texts of a run as a person reads them."""

from __future__ import annotations

import json
from typing import Any


def duration(seconds: float) -> str:
    """A duration as a person reads it: "1d2h3m4s", below a minute "0.061s"."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.3f}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days}d" if days else "", f"{hours}h" if days or hours else "", f"{minutes}m", f"{rest}s"]
    return "".join(parts)


def bytes_text(size: int) -> str:
    """A number of bytes: "512 B", "1.5 MB"."""
    amount, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:  # noqa: PLR2004 - SI prefixes
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def json_text(value: Any) -> str:
    """JSON data; a text stands for itself."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def shortened(text: str, longest: int) -> str:
    """The text, cut to so many characters."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def plain(value: object, *, lines: bool = False) -> str:
    r"""Text without what a terminal or a page would take for a command: a control character and the like becomes "\x1b".

    With `lines`, ends of lines and tabulators stay.
    """
    text = str(value)
    if text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        c if c.isprintable() or c in kept else c.encode("unicode_escape").decode("ascii") for c in text
    )
