"""Locks that tell whether a process lives where its number tells nothing: from another container, or over a network file system.

A process locks a byte of a file, which one follows from who it is; the operating system lets go of it when the process ends, however
it ends. The locks are those of POSIX: a child that is forked has none of its parent's.
"""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from zenml.model.runs import Owner

# By process and file. Never closed: closing any descriptor of a file gives up all locks that the process has on it.
_files: dict[tuple[int, str], int] = {}


def hold(file: Path, owner: Owner) -> None:
    """Hold the lock of an owner, this process, as long as it lives; where there are no such locks, nothing happens."""
    try:
        import fcntl

        descriptor = _open(file, os.O_RDWR | os.O_CREAT)
        fcntl.lockf(descriptor, fcntl.LOCK_EX, 1, _byte(owner))
    except (ImportError, OSError):
        return  # Windows; a file system without locks, or full


def is_held(file: Path, owner: Owner) -> bool:
    """Whether another process holds the lock of that owner."""
    try:
        import fcntl

        descriptor = _open(file, os.O_RDWR)
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _byte(owner))
        fcntl.lockf(descriptor, fcntl.LOCK_UN, 1, _byte(owner))
    except (BlockingIOError, PermissionError):  # it is held; or the file is not ours to write: who knows
        return True
    except (ImportError, OSError):
        return False
    return False


def _open(file: Path, flags: int) -> int:
    key = os.getpid(), str(file)
    if key not in _files or not os.fstat(_files[key]).st_nlink:  # somebody has removed the file
        _files[key] = os.open(file, flags | os.O_CLOEXEC, 0o666)
    return _files[key]


def _byte(owner: Owner) -> int:
    who = f"{owner.boot_id} {owner.pid_namespace} {owner.pid} {owner.started}"
    return int.from_bytes(sha256(who.encode()).digest()[:7], "big")
