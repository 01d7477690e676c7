"""Who a process is, so that any other one can tell whether it still lives."""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

from zenml.model.runs import Owner

LEASE = 60.0
"""Seconds for which a process may be silent before a reader that cannot see it takes it for dead."""

_PROC = Path("/proc")


def this_process() -> Owner:
    """This process, with what tells it from another of the same number: boot, namespace and time of its start."""
    return _identify(os.getpid())


def is_dead(owner: Owner | None, lease_until: float | None, now: float) -> bool:
    """Whether the owner can be taken for dead.

    A process that this one can see is dead when it is gone, or a zombie: at once, and whatever its lease says. Of any other owner
    nothing is known but its lease.
    """
    if owner is not None and is_visible(owner):
        return owner.started != _start_of(owner.pid)
    return (lease_until or 0.0) < now


def is_visible(owner: Owner) -> bool:
    """Whether the owner is a process whose number means the same here: not one of another machine, boot or container."""
    here = this_process()
    return (owner.kind, owner.boot_id, owner.pid_namespace) == (here.kind, here.boot_id, here.pid_namespace)


@lru_cache(maxsize=1)  # by number: a forked child is somebody else
def _identify(pid: int) -> Owner:
    return Owner(
        kind="process",
        boot_id=_boot_id(),
        pid_namespace=_link(_PROC / "self/ns/pid"),
        pid=pid,
        started=_start_of(pid) or 0.0,
    )


def _boot_id() -> str:
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        import psutil  # not on Linux: it costs what a short run costs

        return str(psutil.boot_time())


def _start_of(pid: int) -> float | None:
    """When a living process was started, in seconds of a clock that nobody can set; None for one that is gone, or a zombie."""
    if sys.platform != "linux":
        return _start_elsewhere(pid)
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:  # noqa: PTH123 - asked about in every listing, and this is faster
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return None
    state, ticks = fields[0], fields[19]
    return None if state in (b"Z", b"X") else int(ticks) / os.sysconf("SC_CLK_TCK")


def _start_elsewhere(pid: int) -> float | None:
    import psutil

    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else float(process.create_time())
    except psutil.NoSuchProcess:
        return None


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""
