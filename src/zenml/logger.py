"""Loggers of the framework, and how their messages reach a person who has not configured logging."""

from __future__ import annotations

import logging
import os

_ROOT = "zenml"
_LEVELS = ("DEBUG", "INFO", "WARN", "WARNING", "ERROR", "CRITICAL")


def get_logger(name: str) -> logging.Logger:
    """The logger of that name; one below "zenml" shows its messages as the framework does."""
    return logging.getLogger(name)


def show_messages() -> None:
    """Print the framework's messages to stderr, unless whoever runs this program has arranged for them.

    The level is ZENML_LOGGING_VERBOSITY (DEBUG, INFO, WARN, ERROR, CRITICAL), INFO if it is not set or none of these.
    """
    logger = logging.getLogger(_ROOT)
    if logger.hasHandlers():
        return
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    level = os.environ.get("ZENML_LOGGING_VERBOSITY", "INFO").upper()
    logger.setLevel(level if level in _LEVELS else logging.INFO)
