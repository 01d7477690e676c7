"""The outcome of a validation: plain data, which a step returns and the artifact store keeps."""

from __future__ import annotations

from html import escape

from pydantic import BaseModel, ConfigDict

from zenml.exceptions import DataValidationError

_SHOWN = 20


class Failure(BaseModel):
    """One kind of mistake.

    `column` is empty for what concerns the data as a whole. `count` is the number of rows that have it; `rows` are the first of their
    numbers, from 0 on.
    """

    model_config = ConfigDict(frozen=True)

    check: str
    message: str
    column: str = ""
    count: int
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f"{self.column}: " if self.column else ""
        if not self.rows:
            return f"{where}{self.message}"
        more = ", ..." if self.count > len(self.rows) else ""
        word = "row" if self.count == 1 else "rows"
        return f"{where}{self.message} ({self.count} {word}: {', '.join(map(str, self.rows))}{more})"


class ValidationReport(BaseModel):
    """What a validation found. `omitted` is the number of further kinds of mistake that are not listed."""

    model_config = ConfigDict(frozen=True)

    rows: int
    failures: tuple[Failure, ...] = ()
    omitted: int = 0

    @property
    def success(self) -> bool:
        """Whether the data are as they should be."""
        return not self.failures

    def raise_for_failures(self) -> None:
        """Raise DataValidationError, which lists the failures, if there are any."""
        if self.failures:
            raise DataValidationError(str(self))

    def to_html(self) -> str:
        """The report as a piece of HTML."""
        lines = "".join(
            f"<tr><td>{escape(f.column)}</td><td>{escape(f.check)}</td><td>{escape(f.message)}</td>"
            f"<td>{f.count}</td><td>{', '.join(map(str, f.rows))}</td></tr>"
            for f in self.failures
        )
        head = "".join(
            f"<th>{name}</th>" for name in ("column", "check", "what is wrong", "rows", "row numbers")
        )
        table = f"<table><tr>{head}</tr>{lines}</table>" if lines else ""
        return f"<p>{escape(self._summary())}</p>{table}"

    _repr_html_ = to_html

    def __str__(self) -> str:
        lines = [self._summary(), *(f"  {failure}" for failure in self.failures[:_SHOWN])]
        if (hidden := len(self.failures) - _SHOWN + self.omitted) > 0:
            lines.append(f"  and {hidden} more")
        return "\n".join(lines)

    def _summary(self) -> str:
        if self.success:
            return f"{self.rows} rows are as they should be."
        kinds = len(self.failures) + self.omitted
        return f"{self.rows} rows have {kinds} {'kind' if kinds == 1 else 'kinds'} of mistakes:"
