"""Logging in a worker process, arranged as in the program that started it."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Self


@dataclass(frozen=True)
class Logging:
    """The levels of loggers by name, "" for the root, and how its messages are shown: in which stream, and in which form.

    Handlers of other kinds belong to the program: two processes would write over each other's files.
    """

    levels: Mapping[str, int]
    stream: str | None
    formatter: logging.Formatter | None

    @classmethod
    def present(cls) -> Self:
        """That of this process."""
        root = logging.getLogger()
        loggers = {"": root, **root.manager.loggerDict}
        levels = {
            name: logger.level
            for name, logger in loggers.items()
            if isinstance(logger, logging.Logger) and logger.level
        }
        shown = [handler for handler in root.handlers if type(handler) is logging.StreamHandler]
        if not shown:
            return cls(levels, None, None)
        return cls(levels, "stdout" if shown[0].stream is sys.stdout else "stderr", shown[0].formatter)

    def apply(self) -> None:
        """Arrange it so here, but for what the program's own code has arranged."""
        root = logging.getLogger()
        for name, level in self.levels.items():
            logging.getLogger(name).setLevel(level)
        if self.stream is not None and not root.handlers:
            handler = logging.StreamHandler(getattr(sys, self.stream))
            handler.setFormatter(self.formatter)
            root.addHandler(handler)
