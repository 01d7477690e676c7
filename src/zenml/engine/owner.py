"""Who this process is, so that any other one can tell whether it still lives."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from zenml.model.runs import Owner


def this_process() -> Owner:
    """This process, with what tells it from another of the same number: boot, namespace and time of its start."""
    return _identify(os.getpid())


@lru_cache(maxsize=1)  # by number: a forked child is somebody else
def _identify(pid: int) -> Owner:
    import psutil

    return Owner(
        kind="process",
        boot_id=_read(Path("/proc/sys/kernel/random/boot_id")) or str(psutil.boot_time()),
        pid_namespace=_link(Path("/proc/self/ns/pid")),
        pid=pid,
        started=psutil.Process(pid).create_time(),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
