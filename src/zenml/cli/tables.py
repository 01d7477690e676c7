"""Tables in boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone

from rich.cells import cell_len, set_cell_size

MARKER = "👉"
"""Stands in the row of what is active."""


def moment(seconds: float) -> str:
    """Seconds since the epoch as a cell shows them: ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def amount(size: int) -> str:
    """Bytes as a cell shows them: "999 B", "1.2 MB"."""
    shown, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if shown < 999.5:  # noqa: PLR2004 - what would be shown as 1000
            break
        shown, unit = shown / 1000, larger
    return f"{size} B" if unit == "B" else f"{shown:.1f} {unit}"


def counted(number: int, noun: str) -> str:
    """A number of things: "1 run", "2 runs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@dataclass(frozen=True)
class Table:
    """Rows under headings. Cells are cut, never folded; None is blank.

    With `marked`, the first column is a narrow one of markers, centred.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    title: str = ""
    caption: str = ""
    marked: bool = False

    def render(self, width: int | None) -> str:
        """The table as text, narrower than `width` columns if there is such a limit."""
        rows = [[_text(cell) for cell in row] for row in self.rows]
        widths = [max(map(cell_len, column)) for column in zip(self.columns, *rows, strict=True)]
        frame = 3 * len(widths) + 1
        excess = 0 if width is None else sum(widths) + frame - (width - 1)
        while excess > 0 and max(widths) > 1:
            widths[widths.index(max(widths))] -= 1
            excess -= 1
        lines = [
            _rule("┏┯┓", "━", widths),
            self._line(self.columns, widths),
            _rule("┠┼┨", "─", widths),
            *(self._line(row, widths) for row in rows),
            _rule("┗┷┛", "━", widths),
        ]
        if self.title:
            lines.insert(0, self.title.center(sum(widths) + frame).rstrip())
        if self.caption:
            lines.append(self.caption.center(sum(widths) + frame).rstrip())
        return "\n".join(lines)

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        fitted = [_fit(cell, width) for cell, width in zip(cells, widths, strict=True)]
        if self.marked:
            fitted[0] = _centre(cells[0], widths[0])
        return f"┃ {' │ '.join(fitted)} ┃"


def marker(active: object) -> str:
    """The marker where `active` is true, else nothing."""
    return MARKER if active else ""


def _rule(corners: str, line: str, widths: Sequence[int]) -> str:
    return corners[0] + corners[1].join(line * (width + 2) for width in widths) + corners[2]


def _text(value: object) -> str:
    text = "" if value is None else str(value)
    return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)


def _fit(text: str, width: int) -> str:
    return (
        text + " " * (width - cell_len(text))
        if cell_len(text) <= width
        else set_cell_size(text, width - 1) + "…"
    )


def _centre(text: str, width: int) -> str:
    before = max(width - cell_len(text), 0) // 2
    return _fit(" " * before + text, width)
