"""The folder with the files of a cluster that is started from here."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import psutil

_END = 10.0
"""Seconds within which the last processes of a cluster end by themselves."""

_LOOK = 0.05


def new_place() -> str:
    """An empty folder, whose name is short enough for Ray's sockets."""
    return tempfile.mkdtemp(prefix="zenml-ray-")


def clear_place(place: str) -> None:
    """Remove the folder of a cluster that has been ended. Some of its processes outlive it for a moment, and would write there again."""
    limit = time.monotonic() + _END
    while _is_used(place) and time.monotonic() < limit:
        time.sleep(_LOOK)
    while Path(place).exists():
        shutil.rmtree(place, ignore_errors=True)
        if time.monotonic() > limit:
            return


def _is_used(place: str) -> bool:
    """Whether the command of a process names it: workers that were just being started are nobody's children."""
    return any(
        place in word for one in psutil.process_iter(["cmdline"]) for word in one.info["cmdline"] or ()
    )
