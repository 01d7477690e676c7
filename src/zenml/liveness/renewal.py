"""`python -m zenml.liveness.renewal`: a process beside a run that renews its lease.

What it needs comes over its standard input, for passwords must not stand among a command's arguments. It ends when that is closed,
or when the run's process has ended.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from importlib import import_module
from typing import TYPE_CHECKING

from zenml.exceptions import StoreError
from zenml.liveness.owner import LEASE

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore

_LOOK = 2.0
"""Seconds between two looks at whether the run's process is still there, and between two tries to reach the store."""


def main() -> int:
    """Renew the lease of the run that standard input tells of."""
    parent = os.getppid()
    line = sys.stdin.buffer.readline()
    if not line:
        return 0
    task = json.loads(line)
    store: BaseMetadataStore | None = None
    wait = task["every"]
    while _goes_on(parent, wait):
        if store is None:  # not before it is needed: most runs are shorter than that
            store = getattr(import_module(task["module"]), task["class"])(**task["fields"])
        try:
            store.renew_lease(task["run_id"], time.time() + LEASE)
            wait = task["every"]
        except StoreError:
            wait = min(_LOOK, task["every"])
    return 0


def _goes_on(parent: int, seconds: float) -> bool:
    """Wait; False as soon as the run has ended, or its process: children of that one may keep the standard input open."""
    until = time.monotonic() + seconds
    while os.getppid() == parent:
        left = until - time.monotonic()
        if left <= 0:
            return True
        if select.select([sys.stdin], [], [], min(left, _LOOK))[0]:
            return False
    return False


if __name__ == "__main__":
    sys.exit(main())
