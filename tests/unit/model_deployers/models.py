"""Models for the tests: their servers import them from here."""

from dataclasses import dataclass


@dataclass
class Line:
    slope: float

    def predict(self, rows: list[list[float]]) -> list[float]:
        if any(len(row) != 1 for row in rows):
            raise ValueError("one number in each row is expected")
        return [row[0] * self.slope for row in rows]
